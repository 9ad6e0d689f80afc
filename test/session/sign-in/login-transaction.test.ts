import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Binding,
  formatBinding,
  isLooping,
  LOGIN_LIFETIME_MS,
  parseBinding,
} from '../../../src/core/login-binding.ts'
import { createKeyRing } from '../../../src/crypto/key-ring.ts'
import {
  countRound,
  createLoginTransactions,
  newBinding,
} from '../../../src/session/sign-in/login-transaction.ts'
import { anyText } from '../../support/any-text.ts'
import { words } from '../../support/words.ts'

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
    resume: (state: string, by: Binding | null = binding, longTarget?: string) =>
      logins.resume({ state, origin: ORIGIN, binding: by ?? undefined, longTarget }),
    elapse: (ms: number) => void (nowMs += ms),
  }
}

describe('a login transaction', () => {
  test('comes back with what it was started with', () => {
    const { begin, resume } = start()
    const { state, nonce, codeChallenge } = begin()
    expect(resume(begin(TARGET, true).state)?.isRetry).toBe(true)
    const returned = resume(state)
    expect(returned).toMatchObject({
      target: { url: TARGET, carriedBy: 'state' },
      startedAtMs: 1_700_000_000_000,
      isExpired: false,
      isRetry: false,
      secrets: { nonce, codeVerifier: expect.stringMatching(/^[A-Za-z0-9_-]{43,128}$/) as string },
    })
    const { codeVerifier = '' } = returned?.secrets ?? {}
    expect(createHash('sha256').update(codeVerifier).digest('base64url')).toBe(codeChallenge)
  })

  test.for([false, true])('says whether memory mode began it: %s (C52)', (isInMemory) => {
    const { ring, binding, resume } = start()
    const others = createLoginTransactions(ring, () => 0, isInMemory)
    const { state } = others.start(binding, TARGET, ORIGIN, false)
    expect(resume(state)).toMatchObject({ isFromMemory: isInMemory })
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

  test('two logins of one browser share nothing and may both finish', () => {
    const { begin, resume } = start()
    const both = [begin(), begin(`${TARGET}2`)].map((begun) => {
      const returned = resume(begun.state)
      expect(returned?.secrets).toBeDefined()
      const { target, txid, secrets } = returned ?? {}
      return { ...begun, target: target?.url, txid, codeVerifier: secrets?.codeVerifier }
    })
    expect(both.map(({ target }) => target)).toEqual([TARGET, `${TARGET}2`])
    for (const key of ['state', 'nonce', 'codeChallenge', 'txid', 'codeVerifier'] as const)
      expect(both[0]?.[key], key).not.toBe(both[1]?.[key])
  })

  test('another replica with the same key resumes it, one with another key does not', () => {
    const key = randomBytes(32)
    const [here, there] = [start(createKeyRing([key])), start(createKeyRing([key]))]
    const { state } = here.begin()
    expect(there.resume(state, here.binding)?.secrets).toBeDefined()
    expect(start().resume(state, here.binding)).toBeUndefined()
  })

  test('a finished sign-in ends what else was begun with its binding, and its count does not matter', () => {
    const { begin, resume, binding } = start()
    const { state } = begin()
    expect(resume(state, { ...binding, rounds: 2, sinceSeconds: 1 })?.secrets).toBeDefined()
    for (const other of [countRound(binding, 100), null])
      expect(resume(state, other)?.secrets).toBeUndefined()
  })

  test('expires after its time and still says where it wanted to go', () => {
    const { begin, resume, elapse } = start()
    const { state } = begin()
    elapse(LOGIN_LIFETIME_MS)
    expect(resume(state)?.isExpired).toBe(false)
    elapse(1)
    expect(resume(state)).toMatchObject({ isExpired: true, target: { url: TARGET } })
  })

  test('any text is no state of ours', () => {
    const { resume } = start()
    fc.assert(
      fc.property(fc.oneof(anyText, fc.base64String()), anyText, (state, longTarget) => {
        expect(resume(state, undefined, longTarget)).toBeUndefined()
      }),
    )
  })

  test('something else that was sealed is no state', () => {
    const { resume, ring } = start()
    const seal = (purpose: string, bytes: number) =>
      ring.seal(Buffer.alloc(bytes), { purpose, name: '', realm: ORIGIN }).toString('base64url')
    expect(resume(seal('login-target', 64))).toBeUndefined()
    for (let bytes = 0; bytes < 64; bytes++)
      expect(resume(seal('login-state', bytes))?.secrets).toBeUndefined()
  })

  test('the state stays within 900 characters and the target comes back, however long', () => {
    const { begin, resume } = start()
    fc.assert(
      fc.property(fc.nat({ max: 2900 }), fc.constantFrom('a', 'é'), (length, letter) => {
        const target = `https://app.example.com/${letter.repeat(length)}`
        const { state, longTarget } = begin(target)
        expect(state.length).toBeLessThanOrEqual(900)
        const returned = resume(state, undefined, longTarget)
        const carriedBy = longTarget === undefined ? 'state' : 'cookie'
        expect(returned?.target).toEqual({ url: target, carriedBy })
      }),
    )
    expect(begin().longTarget).toBeUndefined()
  })

  test('of two long targets the last one is kept, and the other login goes on without', () => {
    const { begin, resume } = start()
    const [one, two] = [begin(LONG_TARGET), begin(`${LONG_TARGET}b`)]
    const targetOf = (state: string, longTarget?: string) => {
      const returned = resume(state, undefined, longTarget)
      expect(returned?.secrets).toBeDefined()
      return returned?.target?.url
    }
    expect(targetOf(two.state, two.longTarget)).toBe(`${LONG_TARGET}b`)
    for (const cookie of [two.longTarget, undefined, '', 'garbage', one.state])
      expect(targetOf(one.state, cookie), cookie).toBeUndefined()
  })

  test('an empty long target is none', () => {
    const { begin, resume, ring } = start()
    const { state } = begin('')
    const txid = Buffer.from(resume(state)?.txid ?? '', 'base64url')
    const sealed = ring.seal(txid, { purpose: 'login-target', name: '', realm: ORIGIN })
    expect(resume(state, undefined, sealed.toString('base64url'))).not.toHaveProperty('target')
  })

  test('a cookie cannot replace a target that is in the state', () => {
    const { begin, resume } = start()
    const { longTarget } = begin(LONG_TARGET)
    expect(longTarget).toBeDefined()
    expect(resume(begin().state, undefined, longTarget)?.target?.url).toBe(TARGET)
  })
})

describe('the binding cookie', () => {
  const secret = 's'.repeat(43)
  const binding = fc.record({
    secret: fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    rounds: fc.nat({ max: 999 }),
    sinceSeconds: fc.nat({ max: 2_000_000_000 }),
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
    const one = newBinding()
    expect(newBinding().secret).not.toBe(one.secret)
    expect(parseBinding(formatBinding(one))).toEqual(one)
  })

  test.for([
    '',
    ...words`v2.${secret}.0.0 v1.${secret} v1.${secret}.-1.0 v1.${secret}.x.0 v1.${secret}.1000.0
      v1.${secret}.0.${'1'.repeat(13)} v1.${secret.slice(1)}.0.0 v1.${secret}.0.0.0
      v1.${secret}.0.0\n`,
  ])('%j is no binding', (value) => {
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
    seconds.reduce<Binding>(countRound, { secret: 's', rounds: 0, sinceSeconds: 0 })

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

  test('a count can always be written', () => {
    let binding = newBinding()
    for (let round = 0; round < 999; round += 1) binding = countRound(binding, 1000)
    expect(parseBinding(formatBinding(binding))).toEqual(binding)
  })
})
