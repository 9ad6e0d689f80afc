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
  const binding = newBinding()
  return {
    ring,
    binding,
    begin: (target = TARGET, isRetry = false) => logins.start(binding, target, ORIGIN, isRetry),
    /** Resumes with the binding of this browser unless told otherwise; `null` is a browser without one. */
    resume: (
      state: string,
      by: Binding | null = binding,
      { origin = ORIGIN, longTarget }: { origin?: string; longTarget?: string | undefined } = {},
    ) => logins.resume({ state, origin, binding: by ?? undefined, longTarget }),
    elapse: (ms: number) => void (nowMs += ms),
  }
}

describe('a login transaction', () => {
  test('it comes back with what it was started with', () => {
    const { begin, resume } = start()
    const { state, nonce, codeChallenge } = begin()
    const returned = resume(state)
    expect(returned).toMatchObject({
      target: TARGET,
      startedAtMs: 1_700_000_000_000,
      isExpired: false,
      isRetry: false,
      isLongTarget: false,
      secrets: { nonce, codeVerifier: expect.stringMatching(/^[A-Za-z0-9_-]{43,128}$/) as string },
    })
    const { codeVerifier = '' } = returned?.secrets ?? {}
    expect(createHash('sha256').update(codeVerifier).digest('base64url')).toBe(codeChallenge)
  })

  test('the verifier, the nonce and the target do not travel in clear', () => {
    const { begin, resume, binding } = start()
    const { state, nonce, codeChallenge } = begin()
    const codeVerifier = resume(state)?.secrets?.codeVerifier as string
    const opened = Buffer.from(state, 'base64url').toString('latin1')
    const sent = [state, opened, codeChallenge, formatBinding(binding)].join(' ')
    expect(codeVerifier).toBeTypeOf('string')
    expect([codeVerifier, nonce, 'example.com'].filter((each) => sent.includes(each))).toEqual([])
  })

  test('a second round is known as one', () => {
    const { begin, resume } = start()
    expect(resume(begin(TARGET, true).state)?.isRetry).toBe(true)
  })

  test('two logins of one browser share nothing and may both finish', () => {
    const { begin, resume } = start()
    const both = [begin(), begin(`${TARGET}2`)].map((begun) => {
      const returned = resume(begun.state)
      expect(returned?.secrets).toBeDefined()
      const { target, txid, secrets } = returned ?? {}
      return { ...begun, target, txid, codeVerifier: secrets?.codeVerifier }
    })
    expect(both.map(({ target }) => target)).toEqual([TARGET, `${TARGET}2`])
    for (const key of ['state', 'nonce', 'codeChallenge', 'txid', 'codeVerifier'] as const) {
      expect(both[0]?.[key], key).not.toBe(both[1]?.[key])
    }
  })

  test('another replica with the same key resumes it, one with another key does not', () => {
    const key = randomBytes(32)
    const [here, there] = [start(createKeyRing([key])), start(createKeyRing([key]))]
    const { state } = here.begin()
    expect(there.resume(state, here.binding)?.secrets).toBeDefined()
    expect(start().resume(state, here.binding)).toBeUndefined()
  })

  test('another browser learns no secret, and so can redeem nothing (A53)', () => {
    const { begin, resume } = start()
    const { state } = begin()
    expect(resume(state, newBinding())).toBeDefined()
    expect(resume(state, newBinding())?.secrets).toBeUndefined()
    expect(resume(state, null)?.secrets).toBeUndefined()
    expect(resume(state)?.secrets).toBeDefined()
  })

  test('at another origin it is none', () => {
    const { begin, resume } = start()
    const origin = 'https://app.example.com'
    expect(resume(begin().state, undefined, { origin })).toBeUndefined()
  })

  test('the count of rounds in the binding does not matter to a login under way', () => {
    const { begin, resume, binding } = start()
    const counted = { ...binding, rounds: 2, roundsSince: 1 }
    expect(resume(begin().state, counted)?.secrets).toBeDefined()
  })

  test('a finished sign-in ends what else was begun with its binding', () => {
    const { begin, resume, binding } = start()
    expect(resume(begin().state, countRound(binding, 100))?.secrets).toBeUndefined()
  })

  test('it expires after its time and still says where it wanted to go', () => {
    const { begin, resume, elapse } = start()
    const { state } = begin()
    elapse(LOGIN_LIFETIME_MS)
    expect(resume(state)?.isExpired).toBe(false)
    elapse(1)
    expect(resume(state)).toMatchObject({ isExpired: true, target: TARGET })
  })

  test('a state that was changed anywhere is none', () => {
    const { begin, resume } = start()
    const { state } = begin()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (let at = 0; at < state.length - 1; at++) {
      const other = alphabet[(alphabet.indexOf(state[at] as string) + 1) % 64]
      const changed = state.slice(0, at) + other + state.slice(at + 1)
      expect(resume(changed), `letter ${at}`).toBeUndefined()
    }
    expect([resume(state.slice(0, -2)), resume('')]).toEqual([undefined, undefined])
  })

  test('any text is no state of ours', () => {
    const { resume } = start()
    fc.assert(
      fc.property(fc.oneof(anyText, fc.base64String()), anyText, (state, longTarget) => {
        expect(resume(state, undefined, { longTarget })).toBeUndefined()
      }),
    )
  })

  test('something else that was sealed is no state', () => {
    const { resume, ring } = start()
    const seal = (purpose: string, bytes: number) =>
      ring.seal(Buffer.alloc(bytes), { purpose, name: '', realm: ORIGIN }).toString('base64url')
    expect(resume(seal('login-target', 64))).toBeUndefined()
    for (let bytes = 0; bytes < 64; bytes++) {
      expect(resume(seal('login-state', bytes))?.secrets).toBeUndefined()
    }
  })

  test('the state stays within 900 characters and the target comes back, however long', () => {
    const { begin, resume } = start()
    fc.assert(
      fc.property(fc.nat({ max: 2048 }), fc.constantFrom('a', 'é'), (length, letter) => {
        const target = `https://app.example.com/${letter.repeat(length)}`
        const { state, longTarget } = begin(target)
        expect(state.length).toBeLessThanOrEqual(900)
        const returned = resume(state, undefined, { longTarget })
        expect(returned).toMatchObject({ target, isLongTarget: longTarget !== undefined })
      }),
    )
    expect(begin().longTarget).toBeUndefined()
  })

  test('of two long targets the last one is kept, and the other login goes on without', () => {
    const { begin, resume } = start()
    const [one, two] = [begin(LONG_TARGET), begin(`${LONG_TARGET}b`)]
    const targetOf = (state: string, longTarget?: string) => {
      const returned = resume(state, undefined, { longTarget })
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
    const { longTarget } = begin(LONG_TARGET)
    expect(longTarget).toBeDefined()
    expect(resume(begin().state, undefined, { longTarget })?.target).toBe(TARGET)
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
  ] as const)('%s is none', ([, value]) => {
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
    seconds.reduce<Binding>(countRound, { secret: 's', rounds: 0, roundsSince: 0 })

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
  ])('after sign-ins at %j, at %d it is a loop: %s', ([times, at, expected]) => {
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
