import { describe, expect, test } from 'vitest'
import type { CurrentSession } from '../../src/session/own-sessions.ts'
import { userOwner } from '../../src/session/owners.ts'
import * as given from '../support/started-sessions.ts'

const ALICE = userOwner(given.identity.issuer, 'alice').id
const MINUTE_MS = 60_000
const IDLE_MS = 30 * MINUTE_MS

type Credential = Awaited<ReturnType<ReturnType<typeof given.startSessions>['open']>>

/** Starts four sessions of alice, a minute apart, and one of bob; `current` is the second of alice. */
async function start(changes: Parameters<typeof given.startSessions>[0] = {}) {
  const started = given.startSessions(changes)
  const signIn = async (subject: string) => {
    started.elapse(MINUTE_MS)
    return started.signIn(subject)
  }
  const alices = [await signIn('alice'), await signIn('alice'), await signIn('alice')]
  const bob = await signIn('bob')
  alices.push(await signIn('alice'))
  const currentOf = async (credential: Credential): Promise<CurrentSession> => {
    const found = await started.sessions.find(credential, given.REALM)
    if (!found) throw new Error('no session')
    return { digest: given.sessionDigest(credential), session: found.session }
  }
  const current = await currentOf(alices[1] as Credential)
  const digests = alices.map(given.sessionDigest)
  const { own } = started.sessions
  const listed = async (limit = 10) => {
    const { sessions, more } = await own.list(current, limit)
    return { at: sessions.map(({ digest }) => digests.indexOf(digest)), more }
  }
  return { ...started, own, current, alices, bob, digests, listed, signIn }
}

describe('the list of one’s own sessions', () => {
  test('has the current one first, then the latest, and nobody else’s', async () => {
    const { listed, index, bob } = await start()
    await index.add(given.sessionDigest(bob), { user: ALICE }, given.DAY_MS)
    expect(await listed()).toEqual({ at: [1, 3, 2, 0], more: 0 })
  })

  test.for([
    [1, [1], 3],
    [2, [1, 3], 2],
    [3, [1, 3, 2], 1],
    [4, [1, 3, 2, 0], 0],
  ] as const)('of %i names how many it leaves out', async ([limit, at, more]) => {
    const { listed } = await start()
    expect(await listed(limit)).toEqual({ at, more })
  })

  test('leaves out what has ended and entries without a session', async () => {
    const { listed, sessions, store, digests } = await start()
    await sessions.end(digests[3] as string, 'operator')
    await store.end(digests[0] as string, given.DAY_MS, 'operator')
    expect(await listed()).toEqual({ at: [1, 2], more: 0 })
  })

  test('has the current one although its metadata are lost', async () => {
    const { own, current, lose, alices } = await start()
    lose(alices[1] as Credential, 'metadata')
    const [first] = (await own.list(current, 10)).sessions
    const { createdAt, expiresAt: endsAt } = current.session
    expect(first).toEqual({ digest: current.digest, createdAt, endsAt })
  })

  test.for([
    ['is given back to', 'none', [true, [1, 3, 2, 0]]],
    ['is shown without', 'add', [false, [1, 3, 2, 0]]],
  ] as const)(
    'the current one %s an index that has lost it (fails: %s)',
    async ([, fails, shown]) => {
      const { current, listed, index, ...started } = await start()
      await index.remove(current.digest, { user: ALICE })
      if (fails !== 'none') started.break(fails)
      const { at } = await listed()
      expect([(await index.list('user', ALICE)).includes(current.digest), at]).toEqual(shown)
    },
  )

  test('tells place and browser of each', async () => {
    const { own, open } = await start()
    const metadata = { ...given.sessionOf('carol').metadata, address: '192.0.2.1', userAgent: 'x' }
    const credential = await open({ ...given.sessionOf('carol'), metadata })
    const { identity } = given.sessionOf('carol')
    const session = { identity, createdAt: 0, expiresAt: 1 }
    const listed = await own.list({ digest: given.sessionDigest(credential), session }, 10)
    expect(listed.sessions).toMatchObject([{ address: '192.0.2.1', userAgent: 'x' }])
  })

  test('has the latest use with an idle timeout alone, and a look is no use', async () => {
    const { own, current, elapse, alices, sessions, calls } = await start({
      idleTimeoutMs: IDLE_MS,
    })
    elapse(10 * MINUTE_MS)
    const usedAt = given.STARTED_AT + 15 * MINUTE_MS
    await sessions.find(alices[0] as Credential, given.REALM)
    elapse(5 * MINUTE_MS)
    calls.length = 0
    const uses = (await own.list(current, 10)).sessions.map(({ lastSeenAt }) => lastSeenAt)
    const [nowMs, thirdAt, fourthAt] = [20, 3, 5].map(
      (minute) => given.STARTED_AT + minute * MINUTE_MS,
    )
    expect(uses).toEqual([nowMs, fourthAt, thirdAt, usedAt])
    expect(calls.filter((call) => call.startsWith('extend'))).toEqual([])
    const plain = await start()
    for (const each of (await plain.own.list(plain.current, 10)).sessions)
      expect(each).not.toHaveProperty('lastSeenAt')
  })

  test('leaves out a session that ends while the list is read', async () => {
    const { own, current, digests } = await start({
      idleTimeoutMs: IDLE_MS,
      wrap: (inner) => ({
        ...inner,
        async readLives(asked) {
          await inner.end(asked[1] as string, given.DAY_MS, 'operator')
          return inner.readLives(asked)
        },
      }),
    })
    const listed = await own.list(current, 10)
    expect(listed.sessions.map(({ digest }) => digests.indexOf(digest))).toEqual([1, 2, 0])
  })

  test('has the current one as used now, and with its own end, which SESSION_MAX_AGE may not have set', async () => {
    const { own, current, elapse } = await start({ idleTimeoutMs: given.DAY_MS })
    elapse(given.DAY_MS - 10 * MINUTE_MS)
    const endsAt = current.session.expiresAt + MINUTE_MS
    const session = { ...current.session, expiresAt: endsAt }
    const [first] = (await own.list({ ...current, session }, 10)).sessions
    const lastSeenAt = given.STARTED_AT + given.DAY_MS - 5 * MINUTE_MS
    expect(first).toMatchObject({ endsAt, lastSeenAt })
  })

  test('never tells a use before the sign-in or after now, near the absolute end', async () => {
    const { own, current, elapse, sessions, alices } = await start({ idleTimeoutMs: given.DAY_MS })
    elapse(given.DAY_MS - 10 * MINUTE_MS)
    await sessions.find(alices[1] as Credential, given.REALM)
    const nowMs = given.STARTED_AT + given.DAY_MS - 5 * MINUTE_MS
    for (const { lastSeenAt = 0, createdAt } of (await own.list(current, 10)).sessions) {
      expect(lastSeenAt).toBeGreaterThanOrEqual(createdAt)
      expect(lastSeenAt).toBeLessThanOrEqual(nowMs)
    }
  })

  test.for(['list', 'read'] as const)('rejects where the store fails at "%s"', async (step) => {
    const { own, current, ...started } = await start()
    started.break(step)
    await expect(own.list(current, 10)).rejects.toThrow(given.STORE_AWAY)
  })
})

describe('ending one’s own sessions', () => {
  test('one ends with the reason that pages are told', async () => {
    const { own, current, digests, ends, areAlive, alices } = await start()
    expect(await own.end(current, digests[2] as string)).toBe(true)
    expect(ends).toEqual([[digests[2], 'signed-out-elsewhere']])
    expect(await areAlive(alices)).toEqual([true, true, false, true])
  })

  test('somebody else’s, an unknown and an ended one are none', async () => {
    const { own, current, index, bob, ends, areAlive, digests, sessions } = await start()
    const foreign = given.sessionDigest(bob)
    await index.add(foreign, { user: ALICE }, given.DAY_MS)
    await sessions.end(digests[0] as string, 'operator')
    ends.length = 0
    for (const digest of [foreign, 'A'.repeat(43), digests[0] as string])
      expect(await own.end(current, digest)).toBe(false)
    expect([ends, await areAlive([bob])]).toEqual([[], [true]])
  })

  test('all others end, and the current one goes on with its refreshes', async () => {
    const { own, current, alices, bob, areAlive, generations, index } = await start()
    await index.add(given.sessionDigest(bob), { user: ALICE }, given.DAY_MS)
    expect(await own.endOthers(current)).toEqual({ count: 3, waiting: [] })
    expect(await areAlive([...alices, bob])).toEqual([false, true, false, false, true])
    expect(await generations.oldestOf(ALICE)).toBe(0)
  })

  test('a session begun after the order goes on', async () => {
    const { own, current, signIn, areAlive, hold } = await start()
    const held = hold('list', 'before')
    const ending = own.endOthers(current)
    await held.reached
    const later = await signIn('alice')
    held.goOn()
    expect(await ending).toEqual({ count: 3, waiting: [] })
    expect(await areAlive([later])).toEqual([true])
  })

  test('a session that is being written when the order comes does not come to life', async () => {
    const { own, current, open, areAlive, hold } = await start()
    const held = hold('create', 'before')
    const opening = open(given.sessionOf('alice'))
    await held.reached
    await own.endOthers(current)
    held.goOn()
    const credential = await opening.catch(() => undefined)
    expect(credential ? await areAlive([credential]) : [false]).toEqual([false])
  })

  test('a failure is told beside what has ended, and the ends that wait are applied later', async () => {
    const { own, current, digests, areAlive, alices, sessions, ...started } = await start()
    started.break('end', given.outage, 1)
    const { count, failure, waiting } = await own.endOthers(current)
    expect([count, failure]).toEqual([1, given.STORE_AWAY])
    expect(waiting).toHaveLength(2)
    expect(await areAlive(alices)).toEqual([false, true, false, false])
    started.mend()
    await sessions.revocations.flush()
    for (const digest of digests.filter((each) => each !== current.digest))
      expect((await started.store.read(digest, ['metadata'])).metadata).toBeUndefined()
    started.break('list')
    await expect(own.endOthers(current)).rejects.toThrow(given.STORE_AWAY)
  })

  test('one that cannot be ended now ends when the store is back; another failure is told alone', async () => {
    const { own, current, digests, areAlive, alices, sessions, ...started } = await start()
    started.break('end')
    await expect(own.end(current, digests[0] as string)).rejects.toThrow(given.STORE_AWAY)
    expect([sessions.revocations.waiting, await areAlive(alices)]).toEqual([
      1,
      [false, true, true, true],
    ])
    started.break('end', given.away)
    await expect(own.end(current, digests[2] as string)).rejects.toThrow(given.STORE_AWAY)
    expect(await own.endOthers(current)).toMatchObject({ failure: given.STORE_AWAY, waiting: [] })
    expect(sessions.revocations.waiting).toBe(1)
  })

  test('a session whose record does not open ends with all others alone, because nobody can tell that it may stay', async () => {
    const { own, current, alices, overwrite, areAlive, digests } = await start()
    await overwrite(alices[0] as Credential, { metadata: Buffer.from('noise') })
    expect(await own.end(current, digests[0] as string)).toBe(false)
    expect(await areAlive(alices)).toEqual([true, true, true, true])
    expect(await own.endOthers(current)).toMatchObject({ count: 3 })
    expect(await areAlive(alices)).toEqual([false, true, false, false])
  })
})
