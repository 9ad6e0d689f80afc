import { describe, expect, test } from 'vitest'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import * as given from '../support/started-sessions.ts'

const ALICE = userOwner(given.identity.issuer, 'alice')
const AT_WORK = providerSessionOwner(given.identity.issuer, 'at-work')
const ORDER = { asked: { atMs: 0, generation: 5, uncertainty: 0 }, reason: 'operator' } as const

function start(changes: Parameters<typeof given.startSessions>[0] = {}) {
  const started = given.startSessions(changes)
  return {
    ...started,
    flush: () => started.sessions.revocations.flush(),
    signIn: (subject = 'alice', sid = 'at-work') => started.signIn(subject, sid),
    openIn: (generation: number, sid = 'at-work') =>
      started.open({
        ...given.sessionOf('alice', sid),
        tokens: { ...given.newSession.tokens, generation },
      }),
  }
}
type Started = ReturnType<typeof start>

describe('C73: an end that waits until the store is back', () => {
  test('that failed in flight: ends what had begun and nothing that began since', async () => {
    const started = start()
    const { sessions, signIn, areAlive } = started
    const [old, sibling] = [await signIn(), await signIn()]
    const begun = await sessions.currentGeneration()
    started.break('read')
    await sessions.endTogether(old)
    started.mend()
    const anew = await signIn()
    // Until the flush, too, old sessions are refused here and new ones are found.
    expect(await areAlive([old, anew])).toEqual([false, true])
    const slow = await started.openIn(begun)
    await started.flush()
    expect(sessions.revocations.waiting).toBe(0)
    expect(await areAlive([old, sibling, slow, anew])).toEqual([false, false, false, true])
  })

  test('a deferred end of one session spares others and keeps a deferred end of all together', async () => {
    const { sessions, signIn, areAlive, flush } = start()
    const [one, other] = [await signIn(), await signIn()]
    const [together, sibling] = [await signIn('bob', 'at-home'), await signIn('bob', 'at-home')]
    sessions.deferEndTogether(together)
    for (const each of [one, together]) sessions.deferEnd(given.sessionDigest(each), 'operator')
    expect(sessions.revocations.waiting).toBe(2)
    await flush()
    expect(await areAlive([one, other, together, sibling])).toEqual([false, true, false, false])
  })

  test('a session without metadata ends in doubt, and one that is being written is spared', async () => {
    const { sessions, signIn, index, areAlive, flush, lose } = start()
    const rest = await signIn()
    lose(rest, 'metadata')
    await index.add('about-to-be', { user: ALICE.id, providerSession: AT_WORK.id }, given.DAY_MS)
    sessions.revocations.deferAllOf(AT_WORK, { asked: sessions.moment(), reason: 'provider' })
    await flush()
    expect(await areAlive([rest])).toEqual([false])
    expect(await index.list('providerSession', AT_WORK.id)).toEqual(['about-to-be'])
  })

  const AHEAD = 1_000_000
  function startAhead() {
    const { generations } = given.startSessions()
    return start({ generations: { ...generations, isAhead: (each) => each > AHEAD } })
  }
  test.for<[string, (started: Started) => Promise<number>]>([
    ['a user', ({ sessions }) => sessions.endAllOf(ALICE, ORDER)],
    ['a provider session', ({ sessions }) => sessions.endAllOf(AT_WORK, ORDER)],
    ['everybody', ({ sessions }) => sessions.endAll(ORDER)],
  ])('C73: the end of all of %s includes a session ahead of the clock', async ([, end]) => {
    const started = startAhead()
    const [since, doubtful] = [await started.openIn(AHEAD), await started.openIn(AHEAD + 1)]
    expect(await end(started)).toBe(1)
    expect(await started.areAlive([since, doubtful])).toEqual([true, false])
  })

  test('C73: ending together includes a session ahead of the clock, at once and deferred', async () => {
    const { sessions, openIn, areAlive } = startAhead()
    const ended = await openIn(10)
    const [since, doubtful] = [await openIn(AHEAD), await openIn(AHEAD + 1)]
    await sessions.endTogether(ended)
    expect(await areAlive([since, doubtful])).toEqual([true, false])
    const another = await openIn(AHEAD + 1)
    sessions.revocations.deferAllOf(ALICE, ORDER)
    expect(await areAlive([since, another])).toEqual([true, false])
  })

  test('ending together at once spares a session of the provider session that began since', async () => {
    const { sessions, signIn, areAlive, hold } = start()
    const [old, sibling] = [await signIn(), await signIn()]
    const { reached, goOn } = hold('list', 'before')
    const ending = sessions.endTogether(old)
    await reached
    const anew = await signIn()
    goOn()
    expect(await ending).toBe('done')
    expect(await areAlive([old, sibling, anew])).toEqual([false, false, true])
  })
})
