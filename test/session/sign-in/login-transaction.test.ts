import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createKeyRing } from '../../../src/crypto/key-ring.ts'
import {
  type Binding,
  countRound,
  createLoginTransactions,
  formatBinding,
  isLooping,
  LOGIN_LIFETIME_MS,
  newBinding,
  parseBinding,
} from '../../../src/session/sign-in/login-transaction.ts'
import { anyText } from '../../support/any-text.ts'

const ORIGIN = 'https://auth.example.com'
const TARGET = 'https://app.example.com/a?b=c'
const LONG_TARGET = `https://app.example.com/${'a'.repeat(1500)}`

const start = (ring = createKeyRing([randomBytes(32)])) => {
  let nowMs = 1_700_000_000_000
  const logins = createLoginTransactions(ring, () => nowMs)
  return {
    ring,
    begin: (binding: Binding, target = TARGET, isRetry = false) =>
      logins.start(binding, target, ORIGIN, isRetry),
    resume: (
      state: string,
      binding?: Binding,
      { origin = ORIGIN, longTarget }: { origin?: string; longTarget?: string | undefined } = {},
    ) => logins.resume({ state, origin, binding, longTarget }),
    elapse: (ms: number) => {
      nowMs += ms
    },
  }
}

describe('a login transaction', () => {
  test('it comes back with what it was started with', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const started = begin(binding)
    const returned = resume(started.state, binding)
    expect(returned).toMatchObject({
      target: TARGET,
      startedAtMs: 1_700_000_000_000,
      isExpired: false,
      isRetry: false,
      isLongTarget: false,
    })
    expect(returned?.secrets?.nonce).toBe(started.nonce)
    const { codeVerifier = '' } = returned?.secrets ?? {}
    expect(createHash('sha256').update(codeVerifier).digest('base64url')).toBe(
      started.codeChallenge,
    )
    expect(codeVerifier).toMatch(/^[A-Za-z0-9_-]{43,128}$/)
  })

  test('the verifier, the nonce and the target do not travel in clear', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const started = begin(binding)
    const { codeVerifier } = resume(started.state, binding)?.secrets ?? {}
    const state = Buffer.from(started.state, 'base64url').toString('latin1')
    const sent = [started.state, state, started.codeChallenge, formatBinding(binding)].join(' ')
    expect(codeVerifier).toBeTypeOf('string')
    expect(sent).not.toContain(codeVerifier)
    expect(sent).not.toContain(started.nonce)
    expect(sent).not.toContain('example.com')
  })

  test('a second round is known as one', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    expect(resume(begin(binding, TARGET, true).state, binding)?.isRetry).toBe(true)
  })

  test('two logins of one browser share nothing and may both finish', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const [one, two] = [begin(binding), begin(binding, `${TARGET}2`)]
    expect(one.state).not.toBe(two.state)
    expect(one.nonce).not.toBe(two.nonce)
    expect(one.codeChallenge).not.toBe(two.codeChallenge)
    const [first, second] = [one, two].map(({ state }) => resume(state, binding))
    expect(first?.target).toBe(TARGET)
    expect(second?.target).toBe(`${TARGET}2`)
    expect(first?.txid).not.toBe(second?.txid)
    expect(first?.secrets).toBeDefined()
    expect(second?.secrets).toBeDefined()
    expect(first?.secrets?.codeVerifier).not.toBe(second?.secrets?.codeVerifier)
  })

  test('another replica with the same key resumes it, one with another key does not', () => {
    const key = randomBytes(32)
    const [here, there] = [start(createKeyRing([key])), start(createKeyRing([key]))]
    const binding = newBinding()
    const { state } = here.begin(binding)
    expect(there.resume(state, binding)?.secrets).toBeDefined()
    expect(start().resume(state, binding)).toBeUndefined()
  })

  test('another browser learns no secret, and so can redeem nothing (A53)', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const { state } = begin(binding)
    expect(resume(state, newBinding())).toBeDefined()
    expect(resume(state, newBinding())?.secrets).toBeUndefined()
    expect(resume(state)?.secrets).toBeUndefined()
    expect(resume(state, binding)?.secrets).toBeDefined()
  })

  test('at another origin it is none', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const { state } = begin(binding)
    expect(resume(state, binding, { origin: 'https://app.example.com' })).toBeUndefined()
  })

  test('the count of rounds in the binding does not matter to a login under way', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const { state } = begin(binding)
    expect(resume(state, { ...binding, rounds: 2, roundsSince: 1 })?.secrets).toBeDefined()
  })

  test('a finished sign-in ends what else was begun with its binding', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const { state } = begin(binding)
    expect(resume(state, countRound(binding, 100))?.secrets).toBeUndefined()
  })

  test('it expires after its time and still says where it wanted to go', () => {
    const { begin, resume, elapse } = start()
    const binding = newBinding()
    const { state } = begin(binding)
    elapse(LOGIN_LIFETIME_MS)
    expect(resume(state, binding)?.isExpired).toBe(false)
    elapse(1)
    expect(resume(state, binding)).toMatchObject({ isExpired: true, target: TARGET })
  })

  test('a state that was changed anywhere is none', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const { state } = begin(binding)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (let at = 0; at < state.length - 1; at++) {
      const other = alphabet[(alphabet.indexOf(state[at] as string) + 1) % 64]
      const changed = state.slice(0, at) + other + state.slice(at + 1)
      expect(resume(changed, binding), `letter ${at}`).toBeUndefined()
    }
    expect(resume(state.slice(0, -2), binding)).toBeUndefined()
    expect(resume('', binding)).toBeUndefined()
  })

  test('any text is no state of ours', () => {
    const { resume } = start()
    const binding = newBinding()
    fc.assert(
      fc.property(fc.oneof(anyText, fc.base64String()), anyText, (state, longTarget) => {
        expect(resume(state, binding, { longTarget })).toBeUndefined()
      }),
    )
  })

  test('something else that was sealed is no state', () => {
    const { resume, ring } = start()
    const seal = (purpose: string, bytes: number) =>
      ring.seal(Buffer.alloc(bytes), { purpose, name: '', realm: ORIGIN }).toString('base64url')
    expect(resume(seal('login-target', 64), newBinding())).toBeUndefined()
    for (let bytes = 0; bytes < 64; bytes++) {
      expect(resume(seal('login-state', bytes), newBinding())?.secrets).toBeUndefined()
    }
  })

  test('the state stays within 900 characters and the target comes back, however long', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    fc.assert(
      fc.property(fc.nat({ max: 2048 }), fc.constantFrom('a', 'é'), (length, letter) => {
        const target = `https://app.example.com/${letter.repeat(length)}`
        const { state, longTarget } = begin(binding, target)
        expect(state.length).toBeLessThanOrEqual(900)
        const returned = resume(state, binding, { longTarget })
        expect(returned?.target).toBe(target)
        expect(returned?.isLongTarget).toBe(longTarget !== undefined)
      }),
    )
    expect(begin(binding).longTarget).toBeUndefined()
  })

  test('of two long targets the last one is kept, and the other login goes on without', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const [one, two] = [begin(binding, LONG_TARGET), begin(binding, `${LONG_TARGET}b`)]
    const targetOf = (state: string, longTarget?: string) => {
      const returned = resume(state, binding, { longTarget })
      expect(returned?.secrets).toBeDefined()
      return returned?.target
    }
    expect(targetOf(two.state, two.longTarget)).toBe(`${LONG_TARGET}b`)
    for (const cookie of [two.longTarget, undefined, '', 'garbage', one.state]) {
      expect(targetOf(one.state, cookie), cookie).toBeUndefined()
    }
  })

  test('a cookie cannot replace a target that is in the state', () => {
    const { begin, resume } = start()
    const binding = newBinding()
    const { state } = begin(binding)
    const { longTarget } = begin(binding, LONG_TARGET)
    expect(longTarget).toBeDefined()
    expect(resume(state, binding, { longTarget })?.target).toBe(TARGET)
  })
})

describe('the binding cookie', () => {
  const secret = 's'.repeat(43)
  const binding = fc.record({
    secret: fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    rounds: fc.nat({ max: 999 }),
    roundsSince: fc.nat({ max: 2_000_000_000 }),
  })

  test('a binding is read as it was written, and stays small', () => {
    fc.assert(
      fc.property(binding, (each) => {
        expect(parseBinding(formatBinding(each))).toEqual(each)
        expect(formatBinding(each).length).toBeLessThan(100)
      }),
    )
  })

  test('a new one is new each time and can be written', () => {
    const [one, two] = [newBinding(), newBinding()]
    expect(one.secret).not.toBe(two.secret)
    expect(parseBinding(formatBinding(one))).toEqual(one)
  })

  test.for([
    ['nothing', ''],
    ['another version', `v2.${secret}.0.0`],
    ['no count', `v1.${secret}`],
    ['a count below zero', `v1.${secret}.-1.0`],
    ['a count that is no number', `v1.${secret}.x.0`],
    ['a count that is too large', `v1.${secret}.1000.0`],
    ['a time that is too large', `v1.${secret}.0.${'1'.repeat(13)}`],
    ['a short secret', `v1.${secret.slice(1)}.0.0`],
    ['a fifth part', `v1.${secret}.0.0.0`],
    ['a line end', `v1.${secret}.0.0\n`],
  ])('%s is none', ([, value = ''], { expect }) => {
    expect(parseBinding(value)).toBeUndefined()
  })

  test('any text is a binding or nothing', () => {
    const near = fc
      .tuple(fc.constantFrom('v1', 'v2'), fc.constantFrom('.', ''), fc.constant(secret), anyText)
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.oneof(anyText, near), (value) => {
        const parsed = parseBinding(value)
        if (parsed) expect(parseBinding(formatBinding(parsed))).toEqual(parsed)
      }),
    )
  })
})

describe('counting sign-ins', () => {
  const after = (...seconds: readonly number[]): Binding =>
    seconds.reduce<Binding>((binding, at) => countRound(binding, at), {
      secret: 's',
      rounds: 0,
      roundsSince: 0,
    })

  test.for<[readonly number[], number, boolean]>([
    [[], 1000, false],
    [[1000], 1000, false],
    [[1000, 1005], 1006, false],
    [[1000, 1005, 1010], 1011, true],
    [[1000, 1005, 1010], 1029, true],
    [[1000, 1005, 1010], 1030, false],
    [[1000, 1020, 1040], 1041, false],
    [[1000, 1000, 1000], 1000, true],
    [[1000, 1029, 1029], 1029, true],
    [[1000, 1030, 1031, 1032], 1033, true],
  ])('after sign-ins at %j, at %d it is a loop: %s', ([times, at, expected], { expect }) => {
    expect(isLooping(after(...times), at)).toBe(expected)
  })

  test('tabs that finish side by side count once', () => {
    const before = after(1000)
    const tabs = Array.from({ length: 10 }, (_, index) => countRound(before, 1001 + index))
    expect(tabs.every((tab) => !isLooping(tab, 1012))).toBe(true)
  })

  test('a count can always be written', () => {
    let binding = newBinding()
    for (let round = 0; round < 999; round += 1) binding = countRound(binding, 1000)
    expect(parseBinding(formatBinding(binding))).toEqual(binding)
  })
})
