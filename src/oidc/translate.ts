import { ResponseBodyError } from 'openid-client'
import { AuthError, type AuthErrorCode } from '../errors.ts'
import { CONTENT_ENCODED, WRONG_CONTENT_TYPE } from './provider-fetch.ts'

/** What the codes of openid-client and jose mean; every other failure is one of reaching the provider. */
const MEANING: Readonly<Record<string, AuthErrorCode>> = {
  OAUTH_AUTHORIZATION_RESPONSE_ERROR: 'sign_in_failed',
  OAUTH_RESPONSE_BODY_ERROR: 'sign_in_failed',
  OAUTH_INVALID_RESPONSE: 'sign_in_failed',
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: 'sign_in_failed',
  OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED: 'sign_in_failed',
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: 'sign_in_failed',
  OAUTH_UNSUPPORTED_OPERATION: 'sign_in_failed',
  OAUTH_WWW_AUTHENTICATE_CHALLENGE: 'provider_failed',
  OAUTH_RESPONSE_IS_NOT_CONFORM: 'provider_failed',
  OAUTH_RESPONSE_IS_NOT_JSON: 'provider_failed',
  OAUTH_PARSE_ERROR: 'provider_failed',
  [WRONG_CONTENT_TYPE]: 'provider_failed',
  [CONTENT_ENCODED]: 'provider_failed',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'sign_in_failed',
  ERR_JWT_EXPIRED: 'sign_in_failed',
  ERR_JWT_INVALID: 'sign_in_failed',
  ERR_JWS_INVALID: 'sign_in_failed',
  ERR_JOSE_ALG_NOT_ALLOWED: 'sign_in_failed',
  ERR_JOSE_NOT_SUPPORTED: 'sign_in_failed',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'sign_in_failed',
  ERR_JWKS_NO_MATCHING_KEY: 'sign_in_failed',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'sign_in_failed',
  ERR_JWKS_INVALID: 'provider_failed',
}

/** Codes of errors made by `providerFetch`, whose messages may be logged. */
const OWN_CODES: ReadonlySet<string> = new Set([WRONG_CONTENT_TYPE, CONTENT_ENCODED])

const MAY_BE_ABOUT_BODY: ReadonlySet<string> = new Set([
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_UNSUPPORTED_OPERATION',
])

/** Turns what openid-client and jose throw into our error. */
export function translate(cause: unknown): never {
  const code = codeOf(cause)
  const reason = OWN_CODES.has(code) ? (cause as TypeError).message : code || 'no answer'
  throw new AuthError(meaningOf(cause), `the provider: ${reason}`, { cause })
}

/** Judged by code and status, never by text; what is an error of ours already keeps its code. */
export function meaningOf(cause: unknown): AuthErrorCode {
  if (cause instanceof AuthError) return cause.code
  const code = codeOf(cause)
  const status = statusOf(cause)
  const isFault = status >= 500 || status === 429
  const isBody = MAY_BE_ABOUT_BODY.has(code) && isAboutBody(cause)
  const meaning = isFault ? undefined : isBody ? 'provider_failed' : MEANING[code]
  return meaning ?? 'provider_unavailable'
}

/** Whether the body of an answer is at fault, and not what the browser brought back. */
function isAboutBody(cause: unknown): boolean {
  for (let each = cause; typeof each === 'object' && each !== null; ) {
    if ('body' in each) return true
    each = 'cause' in each ? each.cause : undefined
  }
  return false
}

/** The code that openid-client and jose give their errors. */
export function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : ''
}

function statusOf(cause: unknown): number {
  return responseOf(cause)?.status ?? 0
}

function responseOf(cause: unknown): Response | undefined {
  if (cause instanceof ResponseBodyError) return cause.response
  return cause instanceof Error && cause.cause instanceof Response ? cause.cause : undefined
}

/** Milliseconds that the provider asks to be left alone (RFC 9110 section 10.2.3); nothing where it does not say. */
export function retryAfterMs(cause: unknown, nowMs: number): number | undefined {
  const value = responseOf(cause)?.headers.get('retry-after')?.trim()
  if (!value) return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

/** What a failure is called in logs and metrics: an OAuth error code where the provider gave one. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof ResponseBodyError && OAUTH_ERROR.test(cause.error)) return cause.error
  return meaningOf(cause)
}

/** As registered (RFC 6749 section 11.4); whatever else stands there is the provider's text. */
const OAUTH_ERROR =
  /^(?:invalid_(?:request|client|grant|scope|target)|unauthorized_client|unsupported_grant_type|server_error|temporarily_unavailable)$/
