import { errors } from 'jose'
import { ClientError, ResponseBodyError } from 'openid-client'
import { describe, expect, test } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import {
  failureOf,
  isVerificationFailure,
  retryAfterMs,
  translate,
  VerificationError,
} from '../../src/oidc/failure/translate.ts'
import { words } from '../support/words.ts'

const NOW_MS = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')

function answer(status: number, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers })
}

/** Makes the error of openid-client for an answer that is not an OAuth answer. */
function notConform(response: Response) {
  return Object.assign(new ClientError('x', { cause: response }), {
    code: 'OAUTH_RESPONSE_IS_NOT_CONFORM',
  })
}

/** Makes the error of openid-client for an OAuth error code. */
function named(error: string, response = answer(400)) {
  return new ResponseBodyError('x', { cause: { error }, response })
}

function coded(code: string, cause?: unknown) {
  return Object.assign(new ClientError('x', { cause }), { code })
}

const OF_BODY = new Error('x', { cause: { body: {} } })
const OF_CLAIMS = new Error('x', { cause: { claims: {} } })

describe('Retry-After', () => {
  test.for<[string, number]>([
    ['0', 0],
    ['1', 1000],
    ['120', 120_000],
    [' 30 ', 30_000],
    ['999999999', 999_999_999_000],
    ['Sat, 21 Nov 2026 10:00:07 GMT', 7000],
    ['Saturday, 21-Nov-26 10:00:07 GMT', 7000],
    ['Sat Nov 21 10:00:07 2026 GMT', 7000],
    ['Sat, 21 Nov 2026 09:00:00 GMT', 0],
  ])('%j is %d ms from now', async ([value, ms]) => {
    const headers = { 'Retry-After': value }
    for (const cause of [
      notConform(answer(503, headers)),
      notConform(answer(429, headers)),
      named('temporarily_unavailable', answer(400, headers)),
    ])
      expect(retryAfterMs(cause, NOW_MS)).toBe(ms)
  })

  test.for(['', ' ', 'soon', '1 minute', '1e3', '-5', '1.5', '3, 4', 'Infinity', '99999999999'])(
    'what makes no sense asks for no pause: %j',
    async (value) =>
      expect(retryAfterMs(notConform(answer(503, { 'Retry-After': value })), NOW_MS) ?? 0).toBe(0),
  )

  test.for<[string, unknown]>([
    ['an answer without it', notConform(answer(503))],
    ['no answer', coded('OAUTH_TIMEOUT', new Error('timed out'))],
    ['a failure without a cause', new TypeError('fetch failed')],
    ['no error at all', undefined],
  ])('nothing is said by %s', async ([, cause]) =>
    expect(retryAfterMs(cause, NOW_MS)).toBeUndefined(),
  )
})

describe('what a failure is called', () => {
  test.for(words`
    invalid_request invalid_client invalid_scope invalid_target unauthorized_client unsupported_grant_type
    slow_down_of_ours
  `)('%s of the token endpoint is a fault of the settings', async (error) =>
    expect((await failureOf(named(error))).code).toBe('sign_in_misconfigured'),
  )

  test.for<[string, unknown, string]>([
    ['a code that is refused', named('invalid_grant'), 'sign_in_failed'],
    ['a person who is refused', named('access_denied'), 'access_denied'],
    ['a provider that is busy', named('temporarily_unavailable'), 'provider_unavailable'],
    ['a provider that fails', named('server_error'), 'provider_unavailable'],
    ['a text of the provider’s', named('<script>alice@example.com'), 'sign_in_misconfigured'],
    ['a name with more behind it', named('invalid_grant\nalice'), 'sign_in_misconfigured'],
    ['a name of another document', named('slow_down', answer(429)), 'provider_unavailable'],
    ['429', notConform(answer(429)), 'provider_unavailable'],
    ['500', notConform(answer(500)), 'provider_unavailable'],
    ['404', notConform(answer(404)), 'provider_failed'],
    ['302', notConform(answer(302)), 'provider_failed'],
    ['a body that is no JSON', coded('OAUTH_PARSE_ERROR', new SyntaxError('x')), 'provider_failed'],
    ['a body of another form', coded('OAUTH_INVALID_RESPONSE', OF_BODY), 'provider_failed'],
    ['an unknown token type', coded('OAUTH_UNSUPPORTED_OPERATION', OF_BODY), 'provider_failed'],
    ['an unknown algorithm', coded('OAUTH_UNSUPPORTED_OPERATION'), 'sign_in_refused'],
    ['a token of another form', coded('OAUTH_INVALID_RESPONSE', OF_CLAIMS), 'sign_in_refused'],
    ['a wrong signature', new errors.JWSSignatureVerificationFailed(), 'sign_in_refused'],
    ['a key set that is none', new errors.JWKSInvalid('x'), 'provider_failed'],
    ['a key set that cannot be had', new errors.JWKSTimeout(), 'provider_unavailable'],
    ['no answer', coded('OAUTH_TIMEOUT'), 'provider_unavailable'],
    ['no connection', new TypeError('fetch failed'), 'provider_unavailable'],
    ['a text in place of an error', 'broken', 'provider_unavailable'],
    ['a code that is no text', Object.assign(new Error('x'), { code: 42 }), 'provider_unavailable'],
  ])('%s has its own code', async ([, cause, code]) => {
    expect((await failureOf(cause)).code).toBe(code)
    await expect(translate(cause)).rejects.toThrow(
      expect.objectContaining({ name: 'AuthError', code, cause }) as Error,
    )
  })

  test('a failure of ours stays as it is', async () => {
    const ours = new AuthError('busy', 'too many')
    await expect(translate(ours)).rejects.toBe(ours)
  })
})

describe('a failed verification', () => {
  const translated = (cause: unknown): Promise<unknown> =>
    translate(cause).catch((error: unknown) => error)

  test.for<[string, unknown, boolean]>([
    ['a wrong signature', new errors.JWSSignatureVerificationFailed(), true],
    ['an expired token', new errors.JWTExpired('x', {}), true],
    ['an unknown key', new errors.JWKSNoMatchingKey(), true],
    ['a fault of our own', new VerificationError('x'), true],
    ['a refusal by the provider', named('invalid_grant'), false],
    ['a failed sign-in of another kind', new AuthError('sign_in_failed', 'x'), false],
    ['a malformed key set', new errors.JWKSInvalid('x'), false],
    ['no connection', new TypeError('fetch failed'), false],
  ])('%s: %s, translated or not', async ([, cause, expected]) => {
    expect(isVerificationFailure(cause)).toBe(expected)
    expect(isVerificationFailure(await translated(cause))).toBe(expected)
  })
})
