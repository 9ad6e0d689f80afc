import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { type Fingerprint } from '../../src/replicas/differences.ts'
import { createFleet, type Fleet } from '../../src/replicas/fleet.ts'
import { anyText } from '../support/any-text.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'

const NOW_MS = 1_700_000_000_000
const common = { keys: ['key-1'], place: 'vestibule:0', mode: 'hybrid', version: '1.0.0' }

const clock = useMonotonicClock()

const onOtherInstallation = vi.fn<(place: string, ownPlace: string) => void>()
beforeEach(() => void onOtherInstallation.mockClear())

function replica(name: string, changes: Partial<Fingerprint> = {}, aheadMs = 0): Fleet {
  const fingerprint = () => ({ ...common, ...changes })
  const now = () => NOW_MS + aheadMs
  return createFleet({ replica: name, fingerprint, now, onOtherInstallation })
}
const kinds = (findings: Fleet['findings']) => findings.map(({ kind }) => kind)
function meet(one: Fleet, other: Fleet) {
  one.receive(other.announcement())
  other.receive(one.announcement())
  return [one.findings, other.findings] as const
}
function receiveMany(fleet: Fleet, count: number): void {
  for (let index = 0; index < count; index += 1) fleet.receive(replica(`b${index}`).announcement())
}

describe('replicas without a difference', () => {
  test('know each other and have no findings', () => {
    const [a, b] = [replica('a'), replica('b')]
    expect(meet(a, b)).toEqual([[], []])
    expect([a.size, b.size]).toEqual([1, 1])
  })

  test('are new once, and a replica does not count itself', () => {
    const [a, b] = [replica('a'), replica('b')]
    expect([a.receive(b.announcement()), a.receive(b.announcement())]).toEqual([true, false])
    expect([a.receive(a.announcement()), a.size]).toEqual([false, 1])
  })
})

describe('a difference', () => {
  const KEY =
    'replica NAME has another SESSION_ENCRYPTION_KEY: ' +
    'sessions made by one of them do not open at the other'
  const inMode = (theirs: string, ours: string) =>
    `replica NAME runs in ${theirs} mode, and this one in ${ours} mode`
  const is = (theirs: string, ours: string) =>
    `replica NAME is version ${theirs}, and this one ${ours}`
  const clockIs = (far: string) => `the clock of replica NAME is ${far} ours: synchronise both`
  test.for<[string, Partial<Fingerprint>, aheadMs: number, ofB: string, ofA: string]>([
    ['keys', { keys: ['key-2'] }, 0, KEY, KEY],
    ['mode', { mode: 'redis' }, 0, inMode('redis', 'hybrid'), inMode('hybrid', 'redis')],
    ['version', { version: '1.1.0' }, 0, is('1.1.0', '1.0.0'), is('1.0.0', '1.1.0')],
    ['clock', {}, 7400, clockIs('7 s ahead of'), clockIs('7 s behind')],
    ['clock', {}, -3_600_000, clockIs('3600 s behind'), clockIs('3600 s ahead of')],
  ])('of %s %o is found from both sides', ([kind, changes, aheadMs, ofB, ofA]) => {
    expect(meet(replica('a'), replica('b', changes, aheadMs))).toEqual([
      [{ kind, replica: 'b', message: ofB.replace('NAME', 'b') }],
      [{ kind, replica: 'a', message: ofA.replace('NAME', 'a') }],
    ])
  })

  test('is reported for each kind and each replica', () => {
    const a = replica('a')
    const changes = { keys: ['key-2'], mode: 'redis', version: '2.0.0' }
    a.receive(replica('b', changes, 60_000).announcement())
    a.receive(replica('c', { mode: 'redis' }).announcement())
    expect(a.findings.map((found) => `${found.replica} ${found.kind}`).join()).toBe(
      'b keys,b mode,b version,b clock,c mode',
    )
  })

  test.for([
    [5000, []],
    [5001, ['clock']],
    [-5000, []],
    [-5001, ['clock']],
  ] as const)('of the clock by %i ms gives %o', ([aheadMs, expected]) => {
    const [found] = meet(replica('a'), replica('b', {}, aheadMs))
    expect(kinds(found)).toEqual(expected)
  })

  test('is forgotten once it is corrected', () => {
    const a = replica('a')
    a.receive(replica('b', { mode: 'redis' }).announcement())
    expect([kinds(a.findings), a.receive(replica('b').announcement())]).toEqual([['mode'], false])
    expect(a.findings).toEqual([])
  })
})

describe('other rules', () => {
  const GRACE_MS = 30_000
  const MESSAGE =
    'replica b has had other rules for more than 30 s: give both the same VESTIBULE_CONFIG and ' +
    'lists, and see rules_not_reloaded in the logs of both'

  /** Replica whose rules change as told, beside one that has `ours`. */
  function startPair(ours: string, theirs: string) {
    const rules = { ours, theirs }
    const make = (name: string, read: () => string) =>
      createFleet({
        replica: name,
        fingerprint: () => ({ ...common, rules: read() }),
        now: () => NOW_MS,
        onOtherInstallation,
      })
    const [a, b] = [make('a', () => rules.ours), make('b', () => rules.theirs)]
    a.receive(b.announcement())
    return {
      a,
      kinds: () => kinds(a.findings),
      /** Changes the rules of one, which announces itself at once. */
      change(changed: Partial<typeof rules>) {
        Object.assign(rules, changed)
        if (changed.ours) a.announcement()
        if (changed.theirs) a.receive(b.announcement())
      },
      elapse(ms: number) {
        clock.elapse(ms)
        a.receive(b.announcement())
      },
    }
  }

  test('are found once they have lasted for longer than 30 s, and until they are the same', () => {
    const pair = startPair('1', '2')
    pair.elapse(GRACE_MS)
    expect(pair.kinds()).toEqual([])
    pair.elapse(1)
    expect(pair.a.findings).toEqual([{ kind: 'rules', replica: 'b', message: MESSAGE }])
    pair.change({ theirs: '1' })
    expect(pair.kinds()).toEqual([])
  })

  test.for<[string, ours: string | undefined, theirs: string | undefined]>([
    ['that both have for a moment by our reload', '2', undefined],
    ['that both have for a moment by theirs', undefined, '1'],
  ])('count from the end of rules %s', ([, ours, theirs]) => {
    const pair = startPair('1', '2')
    pair.elapse(GRACE_MS - 1)
    pair.change({ ...(ours && { ours }), ...(theirs && { theirs }) })
    pair.change({ ours: '1', theirs: '3' })
    pair.elapse(GRACE_MS)
    expect(pair.kinds()).toEqual([])
    pair.elapse(1)
    expect(pair.kinds()).toEqual(['rules'])
  })

  test('count on while they change without being the same', () => {
    const pair = startPair('1', '2')
    pair.elapse(GRACE_MS)
    pair.change({ theirs: '3' })
    pair.elapse(1)
    expect(pair.kinds()).toEqual(['rules'])
  })

  test.for<[string, Partial<Fingerprint>, Partial<Fingerprint>, string[]]>([
    ['a replica of a version that tells none', { rules: '1' }, { version: '0.9.0' }, ['version']],
    ['one that tells none', { rules: '1' }, {}, []],
    ['another version', { rules: '1' }, { rules: '2', version: '1.1.0' }, ['version']],
  ])('are nothing to find at %s', ([, ours, theirs, expected]) => {
    const [a, b] = [replica('a', ours), replica('b', theirs)]
    a.receive(b.announcement())
    clock.elapse(GRACE_MS)
    a.receive(b.announcement())
    clock.elapse(1)
    expect(kinds(a.findings)).toEqual(expected)
  })

  test('are forgotten with their replica', () => {
    const [a, b] = [replica('a', { rules: '1' }), replica('b', { rules: '2' })]
    a.receive(b.announcement())
    clock.elapse(GRACE_MS + 1)
    a.receive(b.goodbye())
    a.receive(replica('b', { rules: '2' }, 1).announcement())
    expect(a.findings).toEqual([])
  })
})

describe('a key rotation', () => {
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
  ])('the keys of two replicas: %s', ([, ours, theirs, message]) => {
    const found = meet(replica('a', { keys: ours }), replica('b', { keys: theirs }))
    const pattern = expect.stringMatching(message ?? '') as string
    const expected = message ? [{ kind: 'keys', message: pattern }] : []
    expect(found).toMatchObject([expected, expected])
  })

  test('is judged by the present keys', () => {
    const keys = [randomBytes(32), randomBytes(32)] as const
    const ring = createKeyRing([keys[0]])
    const fingerprint = () => ({ ...common, keys: ring.fingerprints() })
    const a = createFleet({ replica: 'a', fingerprint, now: () => NOW_MS, onOtherInstallation })
    const b = replica('b', { keys: createKeyRing([keys[1]]).fingerprints() })
    a.receive(b.announcement())
    expect(kinds(a.findings)).toEqual(['keys'])
    ring.replaceKeys([keys[1]])
    expect([a.findings, b.receive(a.announcement()), b.findings]).toEqual([[], true, []])
  })
})

describe('another installation in the same Redis', () => {
  const strange = { place: 'other:0', keys: ['key-9'], mode: 'redis', version: '9.0.0' }
  test.for<[string, Partial<Fingerprint>]>([
    ['another prefix, key and everything', strange],
    ['another prefix and the same key', { place: 'other:0' }],
    ['another database and the same key', { place: 'vestibule:1' }],
    ['another prefix and an old key of ours', { place: 'other:0', keys: ['key-9', 'key-1'] }],
  ])('with %s is named once and neither found nor counted', ([, changes]) => {
    const [a, b] = [replica('a'), replica('b', changes)]
    expect([a.receive(b.announcement()), meet(a, b), meet(a, b)]).toEqual([
      true,
      [[], []],
      [[], []],
    ])
    a.receive(replica('c', changes).announcement())
    const [theirs = '', ours] = [changes.place, common.place]
    expect(new Set(onOtherInstallation.mock.calls)).toEqual(
      new Set([
        [theirs, ours],
        [ours, theirs],
      ]),
    )
    expect(onOtherInstallation).toHaveBeenCalledTimes(2)
    expect([a.size, b.size]).toEqual([0, 0])
  })

  test('in the same place with other keys has a wrong key', () => {
    const [a, b] = [replica('a'), replica('b', { keys: ['key-9'] })]
    for (const found of meet(a, b)) expect(kinds(found)).toEqual(['keys'])
    expect([a.size, b.size]).toEqual([1, 1])
  })
})

describe('a replica that says goodbye', () => {
  test('is counted no longer, not even by an announcement that comes late', () => {
    const [a, b, c] = [replica('a'), replica('b', { mode: 'redis' }), replica('c')]
    const late = b.announcement()
    for (const each of [b, c]) a.receive(each.announcement())
    expect([a.receive(b.goodbye()), a.size, a.findings]).toEqual([false, 1, []])
    expect([a.receive(late), a.receive(b.goodbye()), a.size]).toEqual([false, false, 1])
  })

  test('is counted again where it goes on, whoever said goodbye, and by no old goodbye', () => {
    const a = replica('a')
    const [before, now, after] = [0, 1000, 2000].map((ms) => replica('b', {}, ms)) as [
      Fleet,
      Fleet,
      Fleet,
    ]
    for (const text of [now.announcement(), before.goodbye()]) a.receive(text)
    expect(a.size).toBe(1)
    a.receive(now.goodbye())
    expect([a.size, a.receive(after.announcement()), a.size]).toEqual([0, true, 1])
  })

  test('takes neither this replica nor one that was started in its place', () => {
    const [a, older, newer] = [replica('a'), replica('older'), replica('newer')]
    a.receive(newer.announcement())
    for (const text of [older.goodbye(), a.goodbye()]) a.receive(text)
    expect(a.size).toBe(1)
  })
})

describe('the memory of replicas', () => {
  test('ends 35 s after the last announcement', () => {
    const [a, b] = [replica('a'), replica('b', { mode: 'redis' })]
    a.receive(b.announcement())
    clock.elapse(30_000)
    a.receive(b.announcement())
    clock.elapse(35_000)
    expect([a.size, kinds(a.findings)]).toEqual([1, ['mode']])
    clock.elapse(1)
    expect([a.size, a.findings]).toEqual([0, []])
    expect(a.receive(b.announcement())).toBe(true)
  })

  test('is bounded to 500, whose announcements are still received, and has room once they are forgotten', () => {
    const a = replica('a')
    receiveMany(a, 1000)
    expect(a.size).toBe(500)
    expect(a.receive(replica('one-more', { mode: 'redis' }).announcement())).toBe(false)
    expect(a.findings).toEqual([])
    a.receive(replica('b0', { mode: 'redis' }).announcement())
    expect(a.findings.map((each) => each.replica)).toEqual(['b0'])
    clock.elapse(35_001)
    expect([a.size, a.receive(replica('c').announcement()), a.size]).toEqual([0, true, 1])
  })
})

describe('an announcement', () => {
  const good = JSON.parse(replica('b', { mode: 'redis' }).announcement()) as Record<string, unknown>

  test.for<[string, unknown]>([
    ['another version', { ...good, v: 2 }],
    ['another type', { ...good, type: 'self-test' }],
    ['a message of the self-test', { v: 1, type: 'self-test' }],
    ['no name', { ...good, from: undefined }],
    ['a name too long', { ...good, from: 'b'.repeat(65) }],
    ['a time that is no number', { ...good, at: 'now' }],
    ['keys that are no list', { ...good, keys: 'key-1' }],
    ['too many keys', { ...good, keys: Array(21).fill('key-1') }],
    ['a key too long', { ...good, keys: ['k'.repeat(65)] }],
    ['a place too long', { ...good, place: 'p'.repeat(101) }],
    ['a mode too long', { ...good, mode: 'm'.repeat(21) }],
    ['a version too long', { ...good, version: 'v'.repeat(41) }],
    ['rules too long', { ...good, rules: 'r'.repeat(65) }],
    ['rules that are no text', { ...good, rules: 1 }],
    ['null', null],
    ['a list', [good]],
  ])('of the wrong shape is ignored: %s', ([, value]) => {
    const a = replica('a')
    expect([a.receive(JSON.stringify(value)), a.size, a.findings]).toEqual([false, 0, []])
    expect(a.receive(JSON.stringify(good))).toBe(true)
  })

  test('is not read from random text', () => {
    const a = replica('a')
    fc.assert(fc.property(fc.oneof(anyText, fc.json()), (text) => !a.receive(text)))
  })

  test('has only fingerprints of keys', () => {
    const keys = [randomBytes(32), randomBytes(32)]
    const announce = () => replica('a', { keys: createKeyRing(keys).fingerprints() })
    const fingerprints = createKeyRing(keys).fingerprints()
    const { at, ...told } = JSON.parse(announce().announcement()) as Record<string, unknown>
    const expected = { v: 1, type: 'replica', from: 'a', ...common, keys: fingerprints }
    expect({ at, ...told }).toEqual({ at: NOW_MS, ...expected })
    // Leaves out the time, whose digits may occur in a random key.
    const withoutTime = JSON.stringify(told)
    for (const key of keys) {
      for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
        const written = key.toString(encoding)
        for (let from = 0; from + 6 <= written.length; from += 1)
          expect(withoutTime).not.toContain(written.slice(from, from + 6))
      }
    }
    expect(new Set(fingerprints).size).toBe(2)
    for (const each of fingerprints) expect(each).toMatch(/^[A-Za-z0-9_-]{22}$/)
  })
})
