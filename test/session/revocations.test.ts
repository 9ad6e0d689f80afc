import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { createRevocations, type RevocationsOptions } from '../../src/session/revocations.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'
import { away, DAY_MS, identity, STARTED_AT, STORE_AWAY } from '../support/started-sessions.ts'

/** Moment of every order here. */
const ASKED = { atMs: 0, generation: 5, uncertainty: 0 }
/** Last generation that is not ahead of the store's clock. */
const AHEAD = 1000
const ADDRESS = '203.0.113.7'
const none = async () => undefined
const names = (count: number, prefix = 'd') =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

const start = (changes: Partial<RevocationsOptions> = {}) => {
  const applied: string[] = []
  const repeated: string[] = []
  const flushed: number[] = []
  const failing = new Set<string>()
  let atOnce = 0
  let mostAtOnce = 0
  const tell = (told: string[]) => async (digest: string) => {
    atOnce += 1
    mostAtOnce = Math.max(mostAtOnce, atOnce)
    await pause(0)
    atOnce -= 1
    if (failing.has(digest)) away()
    told.push(digest)
  }
  const revocations = createRevocations({
    maxAgeMs: DAY_MS,
    applyToAllOf: (owner) => tell(applied)(owner ? named(owner) : 'everybody'),
    knownFrom: ({ generation }) => generation,
    isAhead: (generation) => generation > AHEAD,
    applyAgain: tell(repeated),
    onFlushed: (count) => flushed.push(count),
    ...changes,
  })
  return {
    revocations,
    note: (...digests: string[]) => digests.forEach((each) => revocations.note(each, 'operator')),
    has: (...digests: string[]) => digests.map((each) => revocations.has(each)),
    defer: (...digests: string[]) =>
      digests.forEach((each) => revocations.defer(each, 'signed-out', () => tell(applied)(each))),
    deferUnverified: (digest: string, address = ADDRESS, apply: () => Promise<unknown> = none) =>
      revocations.deferUnverified(digest, apply, address),
    flush: () => revocations.flush(),
    applied,
    repeated,
    flushed,
    failing,
    mostAtOnce: () => mostAtOnce,
    /** Returns what waits for the store and what the store was told. */
    state: () => ({ waiting: revocations.waiting, applied, flushed }),
  }
}
const named = ({ kind, id }: ReturnType<typeof userOwner>) => `${kind} ${id}`

describe('sessions that are known to have ended', () => {
  test('are known from the moment that they are noted, and no others are', () => {
    const { note, has, state } = start()
    expect(has('a')).toEqual([false])
    note('a')
    expect([has('a', 'b'), state().waiting]).toEqual([[true, false], 0])
  })

  test('asking about others, however many, pushes none of them out', () => {
    const { revocations, note, has } = start()
    note('a')
    for (const each of names(200_000)) revocations.has(each)
    expect(has('a')).toEqual([true])
  })

  test('are forgotten when no session of their day lives any more', async () => {
    using clock = holdMonotonicClock()
    const { note, has } = start({ maxAgeMs: 5000 })
    note('a')
    clock.elapse(4999)
    await pause(10)
    expect(has('a')).toEqual([true])
    clock.elapse(2)
    await pause(10)
    expect(has('a')).toEqual([false])
  })

  test('are bounded: the oldest go first', () => {
    const { note, has } = start()
    note(...names(100_001))
    expect(has('d0', 'd1', 'd100000')).toEqual([false, true, true])
  })
})

describe('ends that the store could not be told', () => {
  test('count here at once, and the store is told once by the next flush', async () => {
    const { defer, has, flush, state } = start()
    defer('a', 'b', 'c', 'a')
    expect([has('a'), state()]).toEqual([[true], { waiting: 3, applied: [], flushed: [] }])
    for (let times = 0; times < 2; times += 1) {
      await flush()
      expect(state()).toEqual({ waiting: 0, applied: ['a', 'b', 'c'], flushed: [3] })
      expect(has('a')).toEqual([true])
    }
  })

  test('what fails waits on, and holds up nothing else', async () => {
    const { defer, has, failing, flush, state } = start()
    defer('a', 'b', 'c')
    failing.add('a').add('b')
    await flush()
    expect(state()).toEqual({ waiting: 2, applied: ['c'], flushed: [1] })
    failing.delete('a')
    await flush()
    await flush()
    expect(state()).toEqual({ waiting: 1, applied: ['c', 'a'], flushed: [1, 1] })
    expect(has('b')).toEqual([true])
  })

  test('two flushes at once are one, and what is added meanwhile waits for the next', async () => {
    const { defer, flush, state } = start()
    defer('a')
    const flushes = [flush(), flush()]
    defer('b')
    await Promise.all(flushes)
    expect(state()).toEqual({ waiting: 1, applied: ['a'], flushed: [1] })
    await flush()
    expect(state().applied).toEqual(['a', 'b'])
  })

  test('are bounded: what does not fit is refused and counts as not ended', async () => {
    const { defer, has, flush, state } = start()
    defer(...names(10_000))
    expect(() => defer('more')).toThrow(STORE_AWAY)
    expect([has('more'), state().waiting]).toEqual([[false], 10_000])
    await flush()
    expect(state().applied).toHaveLength(10_000)
    defer('more')
    expect(state().waiting).toBe(1)
  })
})

describe('ends of what nobody could verify', () => {
  test('of one address are a hundred at most, and room comes back when they are told (C12)', async () => {
    const { deferUnverified, flush } = start()
    for (const each of names(100, 'u')) deferUnverified(each)
    expect(() => deferUnverified('more')).toThrow(STORE_AWAY)
    deferUnverified('u0')
    deferUnverified('other', '198.51.100.1')
    await flush()
    expect(() => deferUnverified('more')).not.toThrow()
  })

  test('count here while they wait, and not any more when it was found out what they are', async () => {
    const { deferUnverified, has, flush, state } = start()
    const looked: string[] = []
    deferUnverified('a', ADDRESS, async () => looked.push('a'))
    expect([has('a', 'b'), state().waiting]).toEqual([[true, false], 1])
    await flush()
    const after = { waiting: 0, applied: [], flushed: [1] }
    expect([looked, has('a'), state()]).toEqual([['a'], [false], after])
  })

  test('wait on while it cannot be found out', async () => {
    const { deferUnverified, note, has, flush, state } = start()
    let isAway = true
    deferUnverified('a', ADDRESS, async () => (isAway ? away() : note('a')))
    await flush()
    expect([has('a'), state()]).toMatchObject([[true], { waiting: 1, flushed: [] }])
    isAway = false
    await flush()
    expect([has('a'), state()]).toMatchObject([[true], { waiting: 0, flushed: [1] }])
  })

  test('are a thousand at most, and leave all room to those that were verified', async () => {
    const { deferUnverified, defer, has, flush, state } = start()
    for (const each of names(1000, 'u')) deferUnverified(each, each)
    expect(() => deferUnverified('more')).toThrow(STORE_AWAY)
    expect(has('more')).toEqual([false])
    // An entry that waits already needs no further room.
    deferUnverified('u0')
    defer(...names(10_000))
    expect(() => defer('more')).toThrow(STORE_AWAY)
    expect(state().waiting).toBe(11_000)
    await flush()
    expect([state().applied.length, has('u0', 'd0')]).toEqual([10_000, [false, true]])
  })

  test('push nothing out of what is known to have ended, nor are they told again', async () => {
    const { revocations, note, deferUnverified, has, flush, repeated } = start()
    note('a')
    for (let round = 0; round < 110; round += 1) {
      for (const each of names(1000, `u${round}-`)) deferUnverified(each, each)
      await flush()
    }
    expect(has('a')).toEqual([true])
    await revocations.repeat()
    expect(repeated).toEqual(['a'])
  })

  test('may be verified meanwhile', async () => {
    const { deferUnverified, defer, has, flush, state } = start()
    deferUnverified('a')
    defer('a')
    expect(state().waiting).toBe(2)
    await flush()
    expect([has('a'), state()]).toMatchObject([[true], { waiting: 0, applied: ['a'] }])
  })
})

describe('ends of all sessions of an owner that the store could not be told', () => {
  const user = userOwner(identity.issuer, identity.subject)
  const atProvider = providerSessionOwner(identity.issuer, 'sid-1')
  const session = { identity, createdAt: STARTED_AT, expiresAt: STARTED_AT + DAY_MS }
  const ofProvider = { ...session, providerSession: atProvider.id }
  const ofAnother = { ...ofProvider, identity: { ...identity, subject: 'u2' } }

  const startOwners = (changes: Partial<RevocationsOptions> = {}) => {
    const started = start(changes)
    const { revocations } = started
    return {
      ...started,
      deferAllOf: (owner: typeof user | undefined) =>
        revocations.deferAllOf(owner, { asked: ASKED, reason: 'provider' }),
      /** Whether an order ends the user's session, that and the provider's, another's of the provider. */
      included: () => [session, ofProvider, ofAnother].map((each) => revocations.includes(each)),
    }
  }
  const NONE = [false, false, false]

  test.for([
    ['a user', user, [true, true, false]],
    ['a session at the provider', atProvider, [false, true, true]],
    ['everybody', undefined, [true, true, true]],
  ] as const)('those of %s count here at once and wait once', async ([, owner, expected]) => {
    const { deferAllOf, included, flush, state } = startOwners()
    expect(included()).toEqual(NONE)
    for (let count = 0; count < 3; count += 1) deferAllOf(owner)
    expect([included(), state().waiting]).toEqual([expected, 1])
    await flush()
    const applied = [owner ? named(owner) : 'everybody']
    expect([included(), state()]).toEqual([NONE, { waiting: 0, applied, flushed: [1] }])
  })

  test.for([
    ['before the order', 4, 5, true],
    ['after the order', 5, 5, false],
    ['ahead of the store’s clock', AHEAD + 1, 5, true],
    ['at an unknown distance from the order', AHEAD, undefined, true],
  ] as const)('a session that began %s', ([, generation, knownFrom, isIncluded]) => {
    const { revocations, deferAllOf } = startOwners({ knownFrom: () => knownFrom })
    deferAllOf(user)
    expect(revocations.includes({ ...session, generation })).toBe(isIncluded)
  })

  test('a user and a session at the provider of the same name are two', async () => {
    const { deferAllOf, included, flush, state } = startOwners()
    deferAllOf({ kind: 'providerSession', id: user.id })
    expect(included()[0]).toBe(false)
    deferAllOf(user)
    expect(state().waiting).toBe(2)
    await flush()
    expect(state().applied).toEqual([`providerSession ${user.id}`, named(user)])
  })

  test('what fails waits on and counts on, and holds up nothing else', async () => {
    const { deferAllOf, defer, failing, included, flush, state } = startOwners()
    failing.add(named(user))
    deferAllOf(user)
    deferAllOf(atProvider)
    defer('a')
    await flush()
    const applied = [named(atProvider), 'a']
    expect(state()).toEqual({ waiting: 1, applied, flushed: [2] })
    expect(included()).toEqual([true, true, false])
    failing.clear()
    await flush()
    expect([state().waiting, included(), state().flushed]).toEqual([0, NONE, [2, 1]])
  })

  test('what is deferred while the same is being told waits for the next time: more may have come', async () => {
    const goOn = Promise.withResolvers<void>()
    let told = 0
    const { deferAllOf, included, flush, state } = startOwners({
      applyToAllOf: async () => {
        told += 1
        await goOn.promise
      },
    })
    deferAllOf(user)
    const flushing = flush()
    deferAllOf(user)
    goOn.resolve()
    await flushing
    expect([told, state().waiting, included()[0]]).toEqual([1, 1, true])
    await flush()
    expect([told, state().waiting, included()[0]]).toEqual([2, 0, false])
  })

  test('share their bound with those of single sessions, and what does not fit counts as not ended', () => {
    const { deferAllOf, defer, included, state } = startOwners()
    for (const id of names(5000)) deferAllOf({ kind: 'user', id })
    defer(...names(5000))
    expect(() => deferAllOf(user)).toThrow(STORE_AWAY)
    expect(() => defer('more')).toThrow(STORE_AWAY)
    expect(included()).toEqual(NONE)
    // An entry that waits already needs no further room.
    deferAllOf({ kind: 'user', id: 'd0' })
    defer('d0')
    expect(state().waiting).toBe(10_000)
  })
})

describe('a store that may have come back with old data', () => {
  test('is told again of every end that is known, at most a hundred at once', async () => {
    const { revocations, note, repeated, mostAtOnce, state } = start()
    await revocations.repeat()
    expect(repeated).toEqual([])
    note(...names(250))
    await revocations.repeat()
    expect(repeated.toSorted()).toEqual(names(250).toSorted())
    expect([mostAtOnce(), state()]).toEqual([100, { waiting: 0, applied: [], flushed: [] }])
  })

  test('what fails then keeps nothing else from being told', async () => {
    const { revocations, note, has, repeated, failing } = start()
    note(...names(150))
    for (const each of names(100)) failing.add(each)
    await revocations.repeat()
    expect([repeated.length, has('d0')]).toEqual([50, [true]])
  })
})
