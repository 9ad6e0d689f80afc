import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import {
  DAY_MS,
  identity,
  newSession,
  outage,
  REALM,
  sessionDigest,
  sessionOf,
  startSessions,
} from '../support/started-sessions.ts'

const ALICE = userOwner(identity.issuer, 'alice')
const ASKED = { atMs: 0, generation: 5, doubt: 0 }
const AT_WORK = providerSessionOwner(identity.issuer, 'at-work')

/** A store that goes away and comes back, and sign-ins that know when they began. */
const start = () => {
  let isAway = false
  /** Sessions of which somebody has evicted the metadata. */
  const evicted = new Set<string>()
  const started = startSessions({
    wrap: (store) => ({
      ...store,
      read: async (digest, parts) => {
        if (isAway) outage()
        const { metadata, ...others } = await store.read(digest, parts)
        return { ...others, ...(metadata && !evicted.has(digest) && { metadata }) }
      },
    }),
  })
  const signIn = async (subject = 'alice', sid = 'at-work') => {
    const generation = await started.sessions.currentGeneration()
    return started.open({
      ...sessionOf(subject, sid),
      tokens: { ...newSession.tokens, generation },
    })
  }
  const isThere = async (credential: SessionCredential) =>
    (await started.sessions.find(credential, REALM)) !== undefined
  return {
    ...started,
    evicted,
    signIn,
    isThere,
    setAway: (whether: boolean) => {
      isAway = whether
    },
  }
}
type Started = ReturnType<typeof start>

describe('C73: what waits until the store is back', () => {
  test.for<[string, (started: Started, old: SessionCredential) => unknown]>([
    ['a sign-out', ({ sessions }, old) => sessions.deferEndTogether(old)],
    ['one that failed under way', ({ sessions }, old) => sessions.endTogether(old)],
    [
      'one of nobody known',
      ({ sessions }, old) => sessions.deferUnverifiedEnd(old, REALM, '203.0.113.7'),
    ],
    [
      "a provider's session",
      ({ sessions }) => sessions.revocations.deferAllOf(AT_WORK, sessions.moment()),
    ],
    ['a user', ({ sessions }) => sessions.revocations.deferAllOf(ALICE, sessions.moment())],
    ['everybody', ({ sessions }) => sessions.revocations.deferAllOf(undefined, sessions.moment())],
  ])('%s: ends what had begun, and nothing that began since', async ([, give], { expect }) => {
    const started = start()
    const { sessions, signIn, isThere } = started
    const old = await signIn()
    const sibling = await signIn()
    const begun = await sessions.currentGeneration()
    started.setAway(true)
    await give(started, old)
    started.setAway(false)
    const anew = await signIn()
    const unfinished = started.open({
      ...sessionOf('alice', 'at-work'),
      tokens: { ...newSession.tokens, generation: begun },
    })
    const slow = await unfinished
    await sessions.revocations.flush()
    expect(sessions.revocations.waiting).toBe(0)
    const all = await Promise.all([old, sibling, slow, anew].map(isThere))
    expect(all).toEqual([false, false, false, true])
  })

  test('until then the old ones are refused here, and the new one is let in', async () => {
    const { sessions, signIn, isThere } = start()
    const old = await signIn()
    sessions.revocations.deferAllOf(undefined, sessions.moment())
    const anew = await signIn()
    expect([await isThere(old), await isThere(anew)]).toEqual([false, true])
  })

  test('an operator who ends one session ends that one alone, and leaves a sign-out as it was', async () => {
    const { sessions, signIn, isThere } = start()
    const [one, other, signedOut, itsSibling] = [
      await signIn(),
      await signIn(),
      await signIn('bob', 'at-home'),
      await signIn('bob', 'at-home'),
    ]
    sessions.deferEndTogether(signedOut)
    for (const each of [one, signedOut]) sessions.deferEnd(sessionDigest(each))
    expect(sessions.revocations.waiting).toBe(2)
    await sessions.revocations.flush()
    const all = await Promise.all([one, other, signedOut, itsSibling].map(isThere))
    expect(all).toEqual([false, true, false, false])
  })

  test('a session whose metadata are lost is ended in doubt, and one that is about to be is left alone', async () => {
    const { sessions, signIn, evicted, index, isThere } = start()
    const rest = await signIn()
    evicted.add(sessionDigest(rest))
    const owners = { user: ALICE.id, providerSession: AT_WORK.id }
    await index.add('about-to-be', owners, DAY_MS)
    sessions.revocations.deferAllOf(AT_WORK, sessions.moment())
    await sessions.revocations.flush()
    expect(await isThere(rest)).toBe(false)
    expect(await index.list('providerSession', AT_WORK.id)).toEqual(['about-to-be'])
  })

  test('C73: a session of a time that is yet to come began before the clock went back, and is ended', async () => {
    const { generations } = startSessions()
    const AHEAD = 1_000_000
    const started = startSessions({
      generations: { ...generations, isAhead: (generation) => generation > AHEAD },
    })
    const { sessions } = started
    const open = (sid: string, generation: number) =>
      started.open({
        ...sessionOf('alice', sid),
        tokens: { ...newSession.tokens, generation },
      })
    const count = async (...all: readonly SessionCredential[]) =>
      (await Promise.all(all.map((each) => sessions.find(each, REALM)))).filter(Boolean).length
    for (const end of [
      () => sessions.endAllOf(ALICE, { asked: ASKED }),
      () => sessions.endAllOf(AT_WORK, { asked: ASKED }),
      () => sessions.endAll(ASKED),
    ]) {
      const [since, doubtful] = [await open('at-work', AHEAD), await open('at-work', AHEAD + 1)]
      expect(await end()).toBe(1)
      expect([await count(since), await count(doubtful)]).toEqual([1, 0])
      await sessions.end(sessionDigest(since))
    }
    const [signedOut, since, doubtful] = [
      await open('at-work', 10),
      await open('at-work', AHEAD),
      await open('at-work', AHEAD + 1),
    ]
    await sessions.endTogether(signedOut)
    expect([await count(since), await count(doubtful)]).toEqual([1, 0])
    const another = await open('at-work', AHEAD + 1)
    sessions.revocations.deferAllOf(ALICE, ASKED)
    expect([await count(since), await count(another)]).toEqual([1, 0])
  })

  test('who signs out at once ends no session of the same name that began since either', async () => {
    let beforeList: (() => Promise<void>) | undefined
    const { index } = startSessions()
    const started = startSessions({
      index: {
        ...index,
        async list(...asked) {
          await beforeList?.()
          return index.list(...asked)
        },
      },
    })
    const { sessions, open } = started
    const signIn = async () =>
      open({
        ...sessionOf('alice', 'at-work'),
        tokens: { ...newSession.tokens, generation: await sessions.currentGeneration() },
      })
    const [old, sibling] = [await signIn(), await signIn()]
    let anew: SessionCredential | undefined
    beforeList = async () => {
      anew ??= await signIn()
    }
    expect(await sessions.endTogether(old)).toBe('done')
    const found = [old, sibling, anew as SessionCredential].map((each) =>
      sessions.find(each, REALM),
    )
    expect((await Promise.all(found)).map((each) => each !== undefined)).toEqual([
      false,
      false,
      true,
    ])
  })
})
