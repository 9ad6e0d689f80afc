import { describe, expect, test } from 'vitest'
import type { EndReason } from '../../src/core/end-reason.ts'
import type { SessionCredential } from '../../src/core/session.ts'
import { userOwner } from '../../src/session/owners.ts'
import { createProviderLogout } from '../../src/session/provider-logout.ts'
import { createMemoryOneTimeKeys } from '../../src/store/memory/one-time-keys.ts'
import { AT_ONCE, DEFERRED, PER_USER } from '../support/endings.ts'
import * as given from '../support/started-sessions.ts'

const WHO = 'u1'
/** Longer than a tombstone in memory stays. */
const LATER_MS = 120_000

async function start() {
  const started = given.startSessions({ perUser: PER_USER })
  const { sessions, store, ends } = started
  let isStoreAvailable = true
  const endAsAtProvider = createProviderLogout({
    sessions,
    oneTimeKeys: createMemoryOneTimeKeys({ maxEntries: 100, maxBytes: 100_000 }),
    clientId: 'vestibule',
    isStoreAvailable: () => isStoreAvailable,
    now: () => given.STARTED_AT,
  })
  const signIn: typeof started.signIn = (...given) => (started.elapse(1), started.signIn(...given))
  const credential = await signIn(WHO, `${WHO} at work`)
  const digest = given.sessionDigest(credential)
  const found = await sessions.find(credential, given.REALM)
  if (!found) throw new Error('the session is not found')
  return {
    ...started,
    signIn,
    endAsAtProvider,
    credential,
    who: WHO,
    digest,
    /** Reason that this replica has for the session, as a page that is still open is told it. */
    reasonHere: () => sessions.revocations.reasonFor(digest, found.session),
    /** Reasons that pages of the session were told. */
    toldHere: () => ends.flatMap((end) => (end[0] === digest ? [end[1]] : [])),
    stored: async () => (await store.readLives([digest]))[0],
    goAway: () => {
      isStoreAvailable = false
      started.break('end')
    },
  }
}

describe('the reason of an end', () => {
  test.for(AT_ONCE)('is told, kept and stays the first one: %s is %s', async ([, reason, end]) => {
    const started = await start()
    const { sessions, credential, digest, toldHere, reasonHere, stored } = started
    await end(started, started)
    const ended = { kind: 'ended', reason }
    expect([toldHere(), reasonHere(), await stored()]).toEqual([[reason], reason, ended])
    expect(await sessions.endReasonOf(credential)).toBe(reason)
    const other: EndReason = reason === 'operator' ? 'provider' : 'operator'
    await sessions.end(digest, other)
    sessions.receiveEnded(digest, other)
    expect([reasonHere(), await stored()]).toEqual([reason, ended])
    started.elapse(LATER_MS)
    expect(await stored(), 'forgotten by the store').toEqual({ kind: 'ended' })
    await sessions.revocations.repeat()
    expect(await stored()).toEqual(ended)
  })

  test.for(DEFERRED)('is told at once and kept late: %s is %s', async ([, reason, end]) => {
    const started = await start()
    const { sessions, ends, digest, toldHere, reasonHere, stored } = started
    started.goAway()
    await end(started, started)
    const isOrder = ends.includes('all deferred')
    expect([isOrder || toldHere(), reasonHere()]).toEqual([isOrder || [reason], reason])
    expect(await stored(), 'not told yet').toMatchObject({ kind: 'alive' })
    started.mend()
    await sessions.revocations.flush()
    expect([toldHere().at(-1), await stored()]).toEqual([reason, { kind: 'ended', reason }])
    await sessions.end(digest, 'expired')
    expect(await stored()).toEqual({ kind: 'ended', reason })
  })

  test.for<[string, (started: Awaited<ReturnType<typeof start>>, reason: EndReason) => void]>([
    [
      'all of a user',
      ({ sessions }, reason) =>
        sessions.deferAllOf(userOwner(given.identity.issuer, WHO), {
          asked: sessions.moment(),
          reason,
        }),
    ],
    ['one session', ({ sessions, digest }, reason) => sessions.deferEnd(digest, reason)],
  ])('is that of the first of two deferred ends of %s', async ([, defer]) => {
    const started = await start()
    for (const reason of ['provider', 'operator'] as const) {
      defer(started, reason)
      expect(started.reasonHere()).toBe('provider')
    }
    await started.sessions.revocations.flush()
    expect(await started.stored()).toEqual({ kind: 'ended', reason: 'provider' })
  })

  test.for([
    ['a data error', given.away, []],
    ['an outage, because the store may have been told', given.outage, ['operator']],
  ] as const)('%s decides whether pages are told', async ([, fail, told]) => {
    const { sessions, digest, toldHere, ...started } = await start()
    started.break('end', fail)
    await expect(sessions.end(digest, 'operator')).rejects.toThrow(given.STORE_AWAY)
    expect(toldHere()).toEqual(told)
  })

  test('is not told of an end that is one too many to wait', async () => {
    const { sessions, credential, ends } = await start()
    for (let at = 0; at < 10_000; at += 1) sessions.deferEnd(`d${at}`, 'operator')
    ends.length = 0
    expect(() => sessions.deferEndTogether(credential)).toThrow(given.STORE_AWAY)
    const order = { asked: sessions.moment(), reason: 'operator' } as const
    expect(() => sessions.deferAllOf(undefined, order)).toThrow(given.STORE_AWAY)
    expect(ends).toEqual([])
  })
})

describe('the reason for which a cookie opens nothing', () => {
  const NOBODY: SessionCredential = { id: 'y'.repeat(43), secret: 'y'.repeat(43) }

  test('is unknown for a session that lives, never was or has expired', async () => {
    const { sessions, credential, elapse } = await start()
    const ask = () => Promise.all([credential, NOBODY].map((each) => sessions.endReasonOf(each)))
    expect(await ask()).toEqual([undefined, undefined])
    elapse(given.DAY_MS)
    expect(await ask()).toEqual([undefined, undefined])
  })

  test('is known here without the store, else from the tombstone, and no failure rejects', async () => {
    const { sessions, credential, digest, store, ...started } = await start()
    started.break('readLives')
    expect(await sessions.endReasonOf(credential)).toBeUndefined()
    await store.end(digest, given.DAY_MS, 'replaced')
    started.mend()
    expect(await sessions.endReasonOf(credential)).toBe('replaced')
    started.break('readLives')
    sessions.receiveEnded(digest, 'provider')
    expect(await sessions.endReasonOf(credential)).toBe('provider')
    expect(await sessions.endReasonOf(NOBODY)).toBeUndefined()
  })
})
