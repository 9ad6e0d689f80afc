import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { createRevocations } from '../../src/session/revocations.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'
import { identity, STARTED_AT } from '../support/started-sessions.ts'

const DAY_MS = 86_400_000

const start = (maxAgeMs = DAY_MS) => {
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
    if (failing.has(digest)) throw new AuthError('store_unavailable', 'away')
    told.push(digest)
  }
  const revocations = createRevocations({
    maxAgeMs,
    applyToAllOf: (owner) => tell(applied)(owner ? `${owner.kind} ${owner.id}` : 'everybody'),
    knownFrom: ({ generation }) => generation,
    isAhead: (generation) => generation > AHEAD,
    applyAgain: tell(repeated),
    onFlushed: (count) => flushed.push(count),
  })
  const defer = (digest: string) => revocations.defer(digest, () => tell(applied)(digest))
  return { revocations, defer, applied, repeated, flushed, failing, mostAtOnce: () => mostAtOnce }
}
/** When what is asked for here is asked for. */
const ASKED = { atMs: 0, generation: 5, doubt: 0 }
/** No generation is later by now. */
const AHEAD = 1000
const names = (count: number, prefix = 'd') =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

describe('sessions that are known to have ended', () => {
  test('are known from the moment that they are noted, and no others are', () => {
    const { revocations } = start()
    expect(revocations.has('a')).toBe(false)
    revocations.note('a')
    expect(revocations.has('a')).toBe(true)
    expect(revocations.has('b')).toBe(false)
    expect(revocations.waiting).toBe(0)
  })

  test('asking about others, however many, pushes none of them out', () => {
    const { revocations } = start()
    revocations.note('a')
    for (const each of names(200_000)) revocations.has(each)
    expect(revocations.has('a')).toBe(true)
  })

  test('are forgotten when no session of their day lives any more', async () => {
    using clock = holdMonotonicClock()
    const { revocations } = start(5000)
    revocations.note('a')
    clock.elapse(4999)
    await pause(10)
    expect(revocations.has('a')).toBe(true)
    clock.elapse(2)
    await pause(10)
    expect(revocations.has('a')).toBe(false)
  })

  test('are bounded: the oldest go first', () => {
    const { revocations } = start()
    for (const each of names(100_001)) revocations.note(each)
    expect(revocations.has('d0')).toBe(false)
    expect(revocations.has('d1')).toBe(true)
    expect(revocations.has('d100000')).toBe(true)
  })
})

describe('ends that the store could not be told', () => {
  test('count here at once, and the store is told by the next flush', async () => {
    const { revocations, defer, applied, flushed } = start()
    for (const each of ['a', 'b', 'c']) defer(each)
    expect(revocations.has('a')).toBe(true)
    expect(revocations.waiting).toBe(3)
    expect(applied).toEqual([])
    await revocations.flush()
    expect(applied).toEqual(['a', 'b', 'c'])
    expect(revocations.waiting).toBe(0)
    expect(flushed).toEqual([3])
    expect(revocations.has('a')).toBe(true)
    await revocations.flush()
    expect(applied).toEqual(['a', 'b', 'c'])
    expect(flushed).toEqual([3])
  })

  test('that of one session waits once', async () => {
    const { revocations, defer, applied } = start()
    for (let count = 0; count < 3; count += 1) defer('a')
    expect(revocations.waiting).toBe(1)
    await revocations.flush()
    expect(applied).toEqual(['a'])
  })

  test('what fails waits on, and holds up nothing else', async () => {
    const { revocations, defer, applied, flushed, failing } = start()
    for (const each of ['a', 'b', 'c']) defer(each)
    failing.add('a').add('b')
    await revocations.flush()
    expect(applied).toEqual(['c'])
    expect(revocations.waiting).toBe(2)
    failing.delete('a')
    await revocations.flush()
    expect(applied).toEqual(['c', 'a'])
    await revocations.flush()
    expect(flushed).toEqual([1, 1])
    expect(revocations.waiting).toBe(1)
    expect(revocations.has('b')).toBe(true)
  })

  test('two flushes at once are one, and what is added meanwhile waits for the next', async () => {
    const { revocations, defer, applied, flushed } = start()
    defer('a')
    const flushes = [revocations.flush(), revocations.flush()]
    defer('b')
    await Promise.all(flushes)
    expect(applied).toEqual(['a'])
    expect(flushed).toEqual([1])
    expect(revocations.waiting).toBe(1)
    await revocations.flush()
    expect(applied).toEqual(['a', 'b'])
  })

  test('are bounded: what does not fit is refused and counts as not ended', async () => {
    const { revocations, defer, applied } = start()
    for (const each of names(10_000)) defer(each)
    expect(() => defer('more')).toThrow(
      expect.objectContaining({ code: 'store_unavailable' }) as Error,
    )
    expect(revocations.has('more')).toBe(false)
    expect(revocations.waiting).toBe(10_000)
    await revocations.flush()
    expect(applied).toHaveLength(10_000)
    defer('more')
    expect(revocations.waiting).toBe(1)
  })
})

describe('ends of what nobody could verify', () => {
  const refused = expect.objectContaining({ code: 'store_unavailable' }) as Error
  const none = async () => undefined
  const ADDRESS = '203.0.113.7'

  test('of one address are a hundred at most, and room comes back when they are told (C12)', async () => {
    const { revocations } = start()
    for (const each of names(100, 'u'))
      revocations.deferUnverified(each, async () => undefined, ADDRESS)
    expect(() => revocations.deferUnverified('more', none, ADDRESS)).toThrow(refused)
    revocations.deferUnverified('u0', async () => undefined, ADDRESS)
    revocations.deferUnverified('other', none, '198.51.100.1')
    await revocations.flush()
    expect(() => revocations.deferUnverified('more', none, ADDRESS)).not.toThrow()
  })

  test('count here while they wait, and not any more when it was found out what they are', async () => {
    const { revocations, flushed } = start()
    const looked: string[] = []
    revocations.deferUnverified('a', async () => looked.push('a'), ADDRESS)
    expect([revocations.has('a'), revocations.has('b')]).toEqual([true, false])
    expect(revocations.waiting).toBe(1)
    await revocations.flush()
    expect([looked, flushed]).toEqual([['a'], [1]])
    expect([revocations.has('a'), revocations.waiting]).toEqual([false, 0])
  })

  test('wait on while it cannot be found out', async () => {
    const { revocations, flushed } = start()
    let isAway = true
    revocations.deferUnverified(
      'a',
      async () => {
        if (isAway) throw new AuthError('store_unavailable', 'away')
        revocations.note('a')
      },
      ADDRESS,
    )
    await revocations.flush()
    expect([revocations.has('a'), revocations.waiting, flushed]).toEqual([true, 1, []])
    isAway = false
    await revocations.flush()
    expect([revocations.has('a'), revocations.waiting, flushed]).toEqual([true, 0, [1]])
  })

  test('are a thousand at most, and leave all room to those that were verified', async () => {
    const { revocations, defer, applied } = start()
    for (const each of names(1000, 'u')) revocations.deferUnverified(each, none, each)
    expect(() => revocations.deferUnverified('more', none, ADDRESS)).toThrow(refused)
    expect(revocations.has('more')).toBe(false)
    // What waits already needs no room.
    revocations.deferUnverified('u0', none, ADDRESS)
    for (const each of names(10_000)) defer(each)
    expect(() => defer('more')).toThrow(refused)
    expect(revocations.waiting).toBe(11_000)
    await revocations.flush()
    expect(applied).toHaveLength(10_000)
    expect([revocations.has('u0'), revocations.has('d0')]).toEqual([false, true])
  })

  test('push nothing out of what is known to have ended, nor are they told again', async () => {
    const { revocations, repeated } = start()
    revocations.note('a')
    for (let round = 0; round < 110; round += 1) {
      for (const each of names(1000, `u${round}-`)) revocations.deferUnverified(each, none, each)
      await revocations.flush()
    }
    expect(revocations.has('a')).toBe(true)
    await revocations.repeat()
    expect(repeated).toEqual(['a'])
  })

  test('may be verified meanwhile', async () => {
    const { revocations, defer, applied } = start()
    revocations.deferUnverified('a', none, ADDRESS)
    defer('a')
    expect(revocations.waiting).toBe(2)
    await revocations.flush()
    expect([applied, revocations.waiting, revocations.has('a')]).toEqual([['a'], 0, true])
  })
})

describe('ends of all sessions of an owner that the store could not be told', () => {
  const user = userOwner(identity.issuer, identity.subject)
  const atProvider = providerSessionOwner(identity.issuer, 'sid-1')
  const named = ({ kind, id }: typeof user) => `${kind} ${id}`
  const session = { identity, createdAt: STARTED_AT, expiresAt: STARTED_AT + DAY_MS }
  const ofProvider = { ...session, providerSession: atProvider.id }
  const ofAnother = { ...ofProvider, identity: { ...identity, subject: 'u2' } }

  test.for([
    ['a user', user, [true, true, false]],
    ['a session at the provider', atProvider, [false, true, true]],
  ] as const)(
    'those of %s count here at once, until the store has been told',
    async ([, owner, expected], { expect }) => {
      const { revocations, applied, flushed } = start()
      const included = () =>
        [session, ofProvider, ofAnother].map((each) => revocations.includes(each))
      expect(included()).toEqual([false, false, false])
      revocations.deferAllOf(owner, ASKED)
      expect(included()).toEqual(expected)
      expect(revocations.waiting).toBe(1)
      await revocations.flush()
      expect(included()).toEqual([false, false, false])
      expect([applied, flushed, revocations.waiting]).toEqual([[named(owner)], [1], 0])
    },
  )

  test('a user and a session at the provider of the same name are two', async () => {
    const { revocations, applied } = start()
    revocations.deferAllOf({ kind: 'providerSession', id: user.id }, ASKED)
    expect(revocations.includes(session)).toBe(false)
    revocations.deferAllOf(user, ASKED)
    expect(revocations.waiting).toBe(2)
    await revocations.flush()
    expect(applied).toEqual([`providerSession ${user.id}`, named(user)])
  })

  test('those of one owner wait once', async () => {
    const { revocations, applied } = start()
    for (let count = 0; count < 3; count += 1) revocations.deferAllOf(user, ASKED)
    expect(revocations.waiting).toBe(1)
    await revocations.flush()
    expect(applied).toEqual([named(user)])
    expect(revocations.includes(session)).toBe(false)
  })

  test('what fails waits on and counts on, and holds up nothing else', async () => {
    const { revocations, defer, applied, failing, flushed } = start()
    failing.add(named(user))
    revocations.deferAllOf(user, ASKED)
    revocations.deferAllOf(atProvider, ASKED)
    defer('a')
    await revocations.flush()
    expect(applied).toEqual([named(atProvider), 'a'])
    expect([revocations.waiting, revocations.includes(session)]).toEqual([1, true])
    expect(revocations.includes(ofAnother)).toBe(false)
    failing.clear()
    await revocations.flush()
    expect([revocations.waiting, revocations.includes(session)]).toEqual([0, false])
    expect(flushed).toEqual([2, 1])
  })

  test('what is deferred while the same is being told waits for the next time: more may have come', async () => {
    const goOn = Promise.withResolvers<void>()
    let told = 0
    const revocations = createRevocations({
      maxAgeMs: DAY_MS,
      knownFrom: ({ generation }) => generation,
      isAhead: () => false,
      applyToAllOf: async () => {
        told += 1
        await goOn.promise
      },
      applyAgain: async () => undefined,
      onFlushed: () => undefined,
    })
    revocations.deferAllOf(user, ASKED)
    const flush = revocations.flush()
    revocations.deferAllOf(user, ASKED)
    goOn.resolve()
    await flush
    expect([told, revocations.waiting, revocations.includes(session)]).toEqual([1, 1, true])
    await revocations.flush()
    expect([told, revocations.waiting, revocations.includes(session)]).toEqual([2, 0, false])
  })

  test('they share their bound with those of single sessions, and what does not fit counts as not ended', () => {
    const { revocations, defer } = start()
    for (const id of names(5000)) revocations.deferAllOf({ kind: 'user', id }, ASKED)
    for (const each of names(5000)) defer(each)
    const refused = expect.objectContaining({ code: 'store_unavailable' }) as Error
    expect(() => revocations.deferAllOf(user, ASKED)).toThrow(refused)
    expect(() => defer('more')).toThrow(refused)
    expect(revocations.includes(session)).toBe(false)
    // What waits already needs no room.
    revocations.deferAllOf({ kind: 'user', id: 'd0' }, ASKED)
    defer('d0')
    expect(revocations.waiting).toBe(10_000)
  })
})

describe('a store that may have come back with old data', () => {
  test('is told again of every end that is known, at most a hundred at once', async () => {
    const { revocations, applied, repeated, flushed, mostAtOnce } = start()
    for (const each of names(250)) revocations.note(each)
    await revocations.repeat()
    expect(repeated.toSorted()).toEqual(names(250).toSorted())
    expect(mostAtOnce()).toBe(100)
    expect(applied).toEqual([])
    expect(flushed).toEqual([])
  })

  test('what fails then keeps nothing else from being told', async () => {
    const { revocations, repeated, failing } = start()
    for (const each of names(150)) revocations.note(each)
    for (const each of names(100)) failing.add(each)
    await revocations.repeat()
    expect(repeated).toHaveLength(50)
    expect(revocations.has('d0')).toBe(true)
  })

  test('where no end is known there is nothing to tell', async () => {
    const { revocations, repeated } = start()
    await revocations.repeat()
    expect(repeated).toEqual([])
  })
})
