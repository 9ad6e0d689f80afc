import { AuthError, type AuthErrorCode, type FailureFacts } from '../errors.ts'
import { WRONG_CONTENT_TYPE } from './answer-type.ts'
import { claimFacts, sayClaim } from './claim-facts.ts'
import {
  codeOf,
  factsOf,
  isAboutBody,
  oauthErrorOf,
  ProviderFault,
  responseOf,
} from './provider-errors.ts'
import { CONTENT_ENCODED, REDIRECTED } from './provider-fetch.ts'

/** Kind of a failure at the provider; `unverified` means that a token or an answer failed verification. */
type FailureKind = 'refused' | 'unverified' | 'failed' | 'unavailable'

/** Error codes for the outside, where a refusal and a failed verification look the same. */
const AUTH_ERROR_CODES: Readonly<Record<FailureKind, AuthErrorCode>> = {
  refused: 'sign_in_failed',
  unverified: 'sign_in_failed',
  failed: 'provider_failed',
  unavailable: 'provider_unavailable',
}

/** Kinds of the errors of openid-client and jose by code; any other error means that the provider is unavailable. */
const KINDS: Readonly<Record<string, FailureKind>> = {
  OAUTH_AUTHORIZATION_RESPONSE_ERROR: 'refused',
  OAUTH_RESPONSE_BODY_ERROR: 'refused',
  OAUTH_INVALID_RESPONSE: 'unverified',
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: 'unverified',
  OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED: 'unverified',
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: 'unverified',
  OAUTH_UNSUPPORTED_OPERATION: 'unverified',
  OAUTH_WWW_AUTHENTICATE_CHALLENGE: 'failed',
  OAUTH_RESPONSE_IS_NOT_CONFORM: 'failed',
  OAUTH_RESPONSE_IS_NOT_JSON: 'failed',
  OAUTH_PARSE_ERROR: 'failed',
  [WRONG_CONTENT_TYPE]: 'failed',
  [CONTENT_ENCODED]: 'failed',
  [REDIRECTED]: 'failed',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'unverified',
  ERR_JWT_EXPIRED: 'unverified',
  ERR_JWT_INVALID: 'unverified',
  ERR_JWS_INVALID: 'unverified',
  ERR_JOSE_ALG_NOT_ALLOWED: 'unverified',
  ERR_JOSE_NOT_SUPPORTED: 'unverified',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'unverified',
  ERR_JWKS_NO_MATCHING_KEY: 'unverified',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'unverified',
  ERR_JWKS_INVALID: 'failed',
}

const MAY_BE_ABOUT_BODY: ReadonlySet<string> = new Set([
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_UNSUPPORTED_OPERATION',
])

/** Reports a token or an answer of the provider that failed verification; to the outside it is `sign_in_failed`. */
export class VerificationError extends AuthError {
  constructor(message: string, options: { cause?: unknown; facts?: FailureFacts } = {}) {
    super('sign_in_failed', message, options)
  }
}

/** Translates errors of openid-client and jose into `AuthError`, with the error as its cause. */
export function translate(cause: unknown): never {
  const code = codeOf(cause)
  const facts = { ...factsOf(cause), ...claimFacts(cause) }
  const coded = cause instanceof ProviderFault ? cause.message : code || 'no answer'
  const message = `the provider: ${sayClaim(facts) ?? coded}`
  if (isVerificationFailure(cause)) throw new VerificationError(message, { cause, facts })
  throw new AuthError(authErrorCode(cause), message, { cause, facts })
}

/** Returns the error for a provider that did not answer within a time limit. */
export function providerTooSlow(): AuthError {
  return new AuthError('provider_unavailable', 'the provider did not answer in time')
}

/** Returns the error for keys that could not be fetched, so that a token can be neither accepted nor refused. */
export function keysUnavailable(whose: 'issuer' | 'provider', cause?: unknown): AuthError {
  const message = `the ${whose}'s keys could not be fetched`
  return new AuthError('provider_unavailable', message, cause === undefined ? {} : { cause })
}

/** Returns whether a token or an answer failed verification; false where the provider refused or could not be asked. */
export function isVerificationFailure(cause: unknown): boolean {
  if (cause instanceof AuthError) return cause instanceof VerificationError
  return failureKind(cause) === 'unverified'
}

function authErrorCode(cause: unknown): AuthErrorCode {
  return cause instanceof AuthError ? cause.code : AUTH_ERROR_CODES[failureKind(cause)]
}

/** Decides by code and status, never by text. */
function failureKind(cause: unknown): FailureKind {
  const code = codeOf(cause)
  const status = responseOf(cause)?.status ?? 0
  if (status >= 500 || status === 429) return 'unavailable'
  if (MAY_BE_ABOUT_BODY.has(code) && isAboutBody(cause)) return 'failed'
  return KINDS[code] ?? 'unavailable'
}

/** Returns `Retry-After` in milliseconds (RFC 9110 section 10.2.3); `undefined` where the response has none. */
export function retryAfterMs(cause: unknown, nowMs: number): number | undefined {
  const value = responseOf(cause)?.headers.get('retry-after')?.trim()
  if (!value) return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

/** Returns the name of a failure for logs and metrics: the provider's OAuth error code, else our error code. */
export function reasonOf(cause: unknown): string {
  const error = oauthErrorOf(cause)
  return error !== undefined && OAUTH_ERROR.test(error) ? error : authErrorCode(cause)
}

/** Registered error codes (RFC 6749 section 11.4); any other text is the provider's and is not logged. */
const OAUTH_ERROR =
  /^(?:invalid_(?:request|client|grant|scope|target)|unauthorized_client|unsupported_grant_type|server_error|temporarily_unavailable)$/
