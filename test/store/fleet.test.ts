import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createFleet, type Fingerprint, type FleetFinding } from '../../src/replicas/fleet.ts'
import { anyText } from '../support/any-text.ts'
import { holdMonotonicClock, type MonotonicClock } from '../support/monotonic-clock.ts'

const NOW_MS = 1_700_000_000_000
const common: Fingerprint = {
  keys: ['key-1'],
  place: 'vestibule:0',
  mode: 'hybrid',
  version: '1.0.0',
}

let clock: MonotonicClock
beforeEach(() => {
  clock = holdMonotonicClock()
})
afterEach(() => clock[Symbol.dispose]())

const replica = (name: string, changes: Partial<Fingerprint> = {}, aheadMs = 0) =>
  createFleet({
    replica: name,
    fingerprint: () => ({ ...common, ...changes }),
    now: () => NOW_MS + aheadMs,
  })
const kinds = (findings: readonly FleetFinding[]) => findings.map(({ kind }) => kind)
/** What each of the two says about the other. */
const meet = (one: ReturnType<typeof createFleet>, other: ReturnType<typeof createFleet>) => {
  one.receive(other.announcement())
  other.receive(one.announcement())
  return [one.findings, other.findings] as const
}

describe('replicas that have everything in common', () => {
  test('know of each other and find nothing', () => {
    const [a, b] = [replica('a'), replica('b')]
    expect(meet(a, b)).toEqual([[], []])
    expect([a.size, b.size]).toEqual([1, 1])
  })

  test('each is new once, and oneself is nobody else', () => {
    const [a, b] = [replica('a'), replica('b')]
    expect(a.receive(b.announcement())).toBe(true)
    expect(a.receive(b.announcement())).toBe(false)
    expect(a.receive(a.announcement())).toBe(false)
    expect(a.size).toBe(1)
  })
})

describe('what may differ', () => {
  test.for<[string, FleetFinding['kind'], Partial<Fingerprint>, number, RegExp, RegExp]>([
    [
      'the key',
      'keys',
      { keys: ['key-2'] },
      0,
      /^replica b has another SESSION_ENCRYPTION_KEY: sessions .* do not open/,
      /^replica a has another SESSION_ENCRYPTION_KEY: sessions .* do not open/,
    ],
    [
      'the prefix',
      'place',
      { place: 'other:0' },
      0,
      /^replica b keeps its sessions under other:0, and this one under vestibule:0: .*REDIS_KEY_PREFIX and REDIS_DB$/,
      /^replica a keeps its sessions under vestibule:0, and this one under other:0: /,
    ],
    [
      'the mode',
      'mode',
      { mode: 'redis' },
      0,
      /^replica b runs in redis mode, and this one in hybrid mode$/,
      /^replica a runs in hybrid mode, and this one in redis mode$/,
    ],
    [
      'the version',
      'version',
      { version: '1.1.0' },
      0,
      /^replica b is version 1\.1\.0, and this one 1\.0\.0$/,
      /^replica a is version 1\.0\.0, and this one 1\.1\.0$/,
    ],
    [
      'a clock that is ahead',
      'clock',
      {},
      7400,
      /^the clock of replica b is 7 s ahead of ours: /,
      /^the clock of replica a is 7 s behind ours: /,
    ],
    [
      'a clock that is behind',
      'clock',
      {},
      -3_600_000,
      /^the clock of replica b is 3600 s behind ours: /,
      /^the clock of replica a is 3600 s ahead of ours: /,
    ],
  ])('%s is found from both sides', ([, kind, changes, aheadMs, here, there], { expect }) => {
    const [found, foundThere] = meet(replica('a'), replica('b', changes, aheadMs))
    expect(found).toEqual([{ kind, replica: 'b', message: expect.stringMatching(here) as string }])
    expect(foundThere).toEqual([
      { kind, replica: 'a', message: expect.stringMatching(there) as string },
    ])
  })

  test('all of it is told, of every replica', () => {
    const a = replica('a')
    const changes = { keys: ['key-2'], mode: 'redis', version: '2.0.0' }
    a.receive(replica('b', changes, 60_000).announcement())
    a.receive(replica('c', { mode: 'redis' }).announcement())
    expect(a.findings.map(({ kind, replica }) => `${replica} ${kind}`)).toEqual([
      'b keys',
      'b mode',
      'b version',
      'b clock',
      'c mode',
    ])
  })

  test.for([
    [5000, []],
    [5001, ['clock']],
    [-5000, []],
    [-5001, ['clock']],
  ] as const)('a clock that is off by %i ms gives %o', ([aheadMs, expected], { expect }) => {
    const [found] = meet(replica('a'), replica('b', {}, aheadMs))
    expect(kinds(found)).toEqual(expected)
  })

  test('what has been put right is no finding any more', () => {
    const a = replica('a')
    a.receive(replica('b', { mode: 'redis' }).announcement())
    expect(kinds(a.findings)).toEqual(['mode'])
    expect(a.receive(replica('b').announcement())).toBe(false)
    expect(a.findings).toEqual([])
  })
})

describe('the rotation of a key', () => {
  const UNDER_WAY =
    /other keys beside the one in common: a key rotation is under way, or was left half done$/
  const BROKEN =
    /another SESSION_ENCRYPTION_KEY: sessions made by one of them do not open at the other$/

  test.for<[string, string[], string[], RegExp | undefined]>([
    ['both as before', ['old'], ['old'], undefined],
    ['one opens the next key too', ['old', 'next'], ['old'], UNDER_WAY],
    ['one seals with the next key', ['next', 'old'], ['old', 'next'], UNDER_WAY],
    ['one has dropped the old key', ['next'], ['next', 'old'], UNDER_WAY],
    ['both after it', ['next'], ['next'], undefined],
    ['one seals with what the other does not have', ['next', 'old'], ['old'], BROKEN],
    ['one has dropped what the other seals with', ['next'], ['old', 'next'], BROKEN],
    ['nothing in common', ['next'], ['old'], BROKEN],
    ['only an old key in common', ['a', 'old'], ['b', 'old'], BROKEN],
    ['no key at all', [], ['old'], BROKEN],
  ])('%s', ([, ours, theirs, message], { expect }) => {
    const found = meet(replica('a', { keys: ours }), replica('b', { keys: theirs }))
    for (const side of found) {
      expect(side.map((each) => each.message)).toEqual(
        message ? [expect.stringMatching(message)] : [],
      )
      expect(kinds(side)).toEqual(message ? ['keys'] : [])
    }
  })

  test('is judged by the keys of the moment', () => {
    const keys = [randomBytes(32), randomBytes(32)] as const
    const ring = createKeyRing([keys[0]])
    const a = createFleet({
      replica: 'a',
      fingerprint: () => ({ ...common, keys: ring.fingerprints() }),
      now: () => NOW_MS,
    })
    const b = replica('b', { keys: createKeyRing([keys[1]]).fingerprints() })
    a.receive(b.announcement())
    expect(kinds(a.findings)).toEqual(['keys'])
    ring.replaceKeys([keys[1]])
    expect(a.findings).toEqual([])
    expect(b.receive(a.announcement())).toBe(true)
    expect(b.findings).toEqual([])
  })
})

describe('another installation in the same Redis', () => {
  test('that shares no key and no place is left alone', () => {
    const strange = { place: 'other:0', keys: ['key-9'], mode: 'redis', version: '9.0.0' }
    const [a, b] = [replica('a'), replica('b', strange, 3_600_000)]
    expect(a.receive(b.announcement())).toBe(false)
    expect(meet(a, b)).toEqual([[], []])
    expect([a.size, b.size]).toEqual([0, 0])
  })

  test.for([
    ['another prefix', 'other:0', ['key-1']],
    ['another database', 'vestibule:1', ['key-1']],
    ['another prefix and an old key of ours', 'other:0', ['key-9', 'key-1']],
  ] as const)(
    'with a key of ours and %s was meant to be with us, and is not counted',
    ([, place, keys], { expect }) => {
      const [a, b] = [replica('a'), replica('b', { place, keys })]
      for (const found of meet(a, b)) expect(kinds(found)).toContain('place')
      expect([a.size, b.size]).toEqual([0, 0])
    },
  )

  test('in our place with other keys is one of us with a wrong key', () => {
    const [a, b] = [replica('a'), replica('b', { keys: ['key-9'] })]
    for (const found of meet(a, b)) expect(kinds(found)).toEqual(['keys'])
    expect([a.size, b.size]).toEqual([1, 1])
  })
})

describe('what is remembered', () => {
  test('ends when nothing has been heard for a while', () => {
    const [a, b] = [replica('a'), replica('b', { mode: 'redis' })]
    a.receive(b.announcement())
    clock.elapse(30_000)
    a.receive(b.announcement())
    clock.elapse(35_000)
    expect(a.size).toBe(1)
    expect(kinds(a.findings)).toEqual(['mode'])
    clock.elapse(1)
    expect(a.size).toBe(0)
    expect(a.findings).toEqual([])
    expect(a.receive(b.announcement())).toBe(true)
  })

  test('is bounded, and those who are known are heard further on', () => {
    const a = replica('a')
    for (let index = 0; index < 1000; index += 1) a.receive(replica(`b${index}`).announcement())
    expect(a.size).toBe(500)
    expect(a.receive(replica('one-more', { mode: 'redis' }).announcement())).toBe(false)
    expect(a.findings).toEqual([])
    a.receive(replica('b0', { mode: 'redis' }).announcement())
    expect(a.findings.map((each) => each.replica)).toEqual(['b0'])
  })

  test('those who are gone make room', () => {
    const a = replica('a')
    for (let index = 0; index < 500; index += 1) a.receive(replica(`b${index}`).announcement())
    clock.elapse(35_001)
    expect(a.size).toBe(0)
    expect(a.receive(replica('c').announcement())).toBe(true)
    expect(a.size).toBe(1)
  })
})

describe('an announcement', () => {
  const good = JSON.parse(replica('b', { mode: 'redis' }).announcement()) as Record<string, unknown>

  test.for<[string, unknown]>([
    ['another version', { ...good, v: 2 }],
    ['another type', { ...good, type: 'self-test' }],
    ['what the self-test says', { v: 1, type: 'self-test' }],
    ['no name', { ...good, from: undefined }],
    ['a name without end', { ...good, from: 'b'.repeat(65) }],
    ['a time that is no number', { ...good, at: 'now' }],
    ['keys that are none', { ...good, keys: 'key-1' }],
    ['more keys than anybody has', { ...good, keys: Array(21).fill('key-1') }],
    ['keys without end', { ...good, keys: ['k'.repeat(65)] }],
    ['a place without end', { ...good, place: 'p'.repeat(101) }],
    ['a mode without end', { ...good, mode: 'm'.repeat(21) }],
    ['a version without end', { ...good, version: 'v'.repeat(41) }],
    ['null', null],
    ['a list', [good]],
  ])('that is none is passed over: %s', ([, value], { expect }) => {
    const a = replica('a')
    expect(a.receive(JSON.stringify(value))).toBe(false)
    expect(a.size).toBe(0)
    expect(a.findings).toEqual([])
    expect(a.receive(JSON.stringify(good))).toBe(true)
  })

  test('is not found in noise', () => {
    const a = replica('a')
    fc.assert(fc.property(fc.oneof(anyText, fc.json()), (text) => !a.receive(text)))
  })

  test('tells nothing of the key but that it is the same', () => {
    const keys = [randomBytes(32), randomBytes(32)]
    const announce = (name: string) =>
      replica(name, { keys: createKeyRing(keys).fingerprints() }).announcement()
    const text = announce('a')
    const fingerprints = createKeyRing(keys).fingerprints()
    const { at, ...told } = JSON.parse(text) as Record<string, unknown>
    expect({ at, ...told }).toEqual({
      v: 1,
      type: 'replica',
      from: 'a',
      at: NOW_MS,
      ...common,
      keys: fingerprints,
    })
    // The time is a number in which some digits of a random key may well be.
    const withoutTime = JSON.stringify(told)
    for (const key of keys) {
      for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
        const written = key.toString(encoding)
        for (let from = 0; from + 6 <= written.length; from += 1) {
          expect(withoutTime).not.toContain(written.slice(from, from + 6))
        }
      }
    }
    expect(new Set(fingerprints).size).toBe(2)
    for (const each of fingerprints) expect(each).toMatch(/^[A-Za-z0-9_-]{22}$/)
  })
})
