import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import {
  DAY_MS,
  identity,
  newSession,
  REALM,
  sessionDigest,
  sessionOf,
  startSessions,
} from '../support/started-sessions.ts'

const ALICE = userOwner(identity.issuer, 'alice')
const AT_WORK = providerSessionOwner(identity.issuer, 'at-work')
const ASKED = { atMs: 0, generation: 5, doubt: 0 }

/** Starts sessions, and sign-ins of Alice that record when they began. */
function start(changes: Parameters<typeof startSessions>[0] = {}) {
  const started = startSessions(changes)
  return {
    ...started,
    flush: () => started.sessions.revocations.flush(),
    signIn: (subject = 'alice', sid = 'at-work') => started.signIn(subject, sid),
    openIn: (generation: number, sid = 'at-work') =>
      started.open({ ...sessionOf('alice', sid), tokens: { ...newSession.tokens, generation } }),
  }
}
type Started = ReturnType<typeof start>

describe('C73: an end that waits until the store is back', () => {
  test.for<[string, (started: Started, old: SessionCredential) => unknown]>([
    ['of a session', ({ sessions }, old) => sessions.deferEndTogether(old)],
    ['that failed in flight', ({ sessions }, old) => sessions.endTogether(old)],
    ['unverified', ({ sessions }, old) => sessions.deferUnverifiedEnd(old, REALM, '203.0.113.7')],
    ['of a provider session', ({ sessions }) => deferAllOf(sessions, AT_WORK)],
    ['of a user', ({ sessions }) => deferAllOf(sessions, ALICE)],
    ['of everybody', ({ sessions }) => deferAllOf(sessions, undefined)],
  ])('%s: ends what had begun and nothing that began since', async ([, give]) => {
    const started = start()
    const { sessions, signIn, areAlive } = started
    const [old, sibling] = [await signIn(), await signIn()]
    const begun = await sessions.currentGeneration()
    started.break('read')
    await give(started, old)
    started.mend()
    const anew = await signIn()
    const slow = await started.openIn(begun)
    await started.flush()
    expect(sessions.revocations.waiting).toBe(0)
    expect(await areAlive([old, sibling, slow, anew])).toEqual([false, false, false, true])
  })
  function deferAllOf(sessions: Started['sessions'], owner: typeof ALICE | undefined) {
    sessions.revocations.deferAllOf(owner, sessions.moment())
  }

  test('until then old sessions are refused here and new ones are found', async () => {
    const { sessions, signIn, areAlive } = start()
    const old = await signIn()
    sessions.revocations.deferAllOf(undefined, sessions.moment())
    expect(await areAlive([old, await signIn()])).toEqual([false, true])
  })

  test('a deferred end of one session spares others and keeps a deferred end of all together', async () => {
    const { sessions, signIn, areAlive, flush } = start()
    const [one, other] = [await signIn(), await signIn()]
    const [together, sibling] = [await signIn('bob', 'at-home'), await signIn('bob', 'at-home')]
    sessions.deferEndTogether(together)
    for (const each of [one, together]) sessions.deferEnd(sessionDigest(each))
    expect(sessions.revocations.waiting).toBe(2)
    await flush()
    expect(await areAlive([one, other, together, sibling])).toEqual([false, true, false, false])
  })

  test('a session without metadata ends in doubt, and one that is being written is spared', async () => {
    const evicted = new Set<string>()
    const { sessions, signIn, index, areAlive, flush } = start({
      wrap: (store) => ({
        ...store,
        read: async (digest, parts) => {
          const { metadata, ...others } = await store.read(digest, parts)
          return { ...others, ...(metadata && !evicted.has(digest) && { metadata }) }
        },
      }),
    })
    const rest = await signIn()
    evicted.add(sessionDigest(rest))
    const owners = { user: ALICE.id, providerSession: AT_WORK.id }
    await index.add('about-to-be', owners, DAY_MS)
    sessions.revocations.deferAllOf(AT_WORK, sessions.moment())
    await flush()
    expect(await areAlive([rest])).toEqual([false])
    expect(await index.list('providerSession', AT_WORK.id)).toEqual(['about-to-be'])
  })

  const AHEAD = 1_000_000
  function startAhead() {
    const { generations } = startSessions()
    return start({ generations: { ...generations, isAhead: (each) => each > AHEAD } })
  }
  test.for<[string, (started: Started) => Promise<number>]>([
    ['a user', ({ sessions }) => sessions.endAllOf(ALICE, { asked: ASKED })],
    ['a provider session', ({ sessions }) => sessions.endAllOf(AT_WORK, { asked: ASKED })],
    ['everybody', ({ sessions }) => sessions.endAll(ASKED)],
  ])('C73: the end of all of %s includes a session ahead of the clock', async ([, end]) => {
    const started = startAhead()
    const [since, doubtful] = [await started.openIn(AHEAD), await started.openIn(AHEAD + 1)]
    expect(await end(started)).toBe(1)
    expect(await started.areAlive([since, doubtful])).toEqual([true, false])
  })

  test('C73: ending together includes a session ahead of the clock, at once and deferred', async () => {
    const { sessions, openIn, areAlive } = startAhead()
    const [ended, since, doubtful] = [
      await openIn(10),
      await openIn(AHEAD),
      await openIn(AHEAD + 1),
    ]
    await sessions.endTogether(ended)
    expect(await areAlive([since, doubtful])).toEqual([true, false])
    const another = await openIn(AHEAD + 1)
    sessions.revocations.deferAllOf(ALICE, ASKED)
    expect(await areAlive([since, another])).toEqual([true, false])
  })

  test('ending together at once spares a session of the provider session that began since', async () => {
    let beforeList: (() => Promise<void>) | undefined
    const { index } = startSessions()
    const { sessions, signIn, areAlive } = start({
      index: {
        ...index,
        async list(...asked) {
          await beforeList?.()
          return index.list(...asked)
        },
      },
    })
    const [old, sibling] = [await signIn(), await signIn()]
    let anew: SessionCredential | undefined
    beforeList = async () => {
      anew ??= await signIn()
    }
    expect(await sessions.endTogether(old)).toBe('done')
    expect(await areAlive([old, sibling, anew as SessionCredential])).toEqual([false, false, true])
  })
})
