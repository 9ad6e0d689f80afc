import { AuthError, type AuthErrorCode } from '../../errors.ts'
import { WRONG_CONTENT_TYPE } from '../request/answer-type.ts'
import { codeOf, responseOf } from '../request/provider-errors.ts'
import { CONTENT_ENCODED, REDIRECTED } from '../request/provider-fetch.ts'
import {
  answerOf,
  isAboutBody,
  isClientRefused,
  type ProviderAnswer,
  refusedParametersOf,
  unreadableIdToken,
} from './failed-answer.ts'
import { type FailedRequest, failureFacts, reasonOf } from './failure-facts.ts'
import { isPassing } from './final-answers.ts'

/** Kind of a failure at the provider; `unverified` means that a token or an answer failed verification. */
type FailureKind = 'refused' | 'unverified' | 'failed' | 'unavailable'

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

/**
 * Reports a token or an answer of the provider that failed verification: a fault of provider or settings, except for a
 * `nonce`, which another login in the browser may cause.
 */
export class VerificationError extends AuthError {
  constructor(message: string, options: ConstructorParameters<typeof AuthError>[2] = {}) {
    const isOfBrowser = options.facts?.claim === 'nonce'
    super(isOfBrowser ? 'sign_in_failed' : 'sign_in_refused', message, options)
  }
}

/** Failure at the provider as an error code, with its cause for log lines. */
export interface ProviderFailure {
  readonly code: AuthErrorCode
  readonly answer: ProviderAnswer
  readonly reason: string
  readonly facts: AuthError['facts']
}

/** Reads what an error of openid-client or jose is about. */
export async function failureOf(
  cause: unknown,
  asked: FailedRequest = {},
): Promise<ProviderFailure> {
  const answer = await answerOf(cause)
  const located = asked.endpoint ? asked : { ...asked, endpoint: endpointOf(cause) }
  const facts = cause instanceof AuthError ? cause.facts : failureFacts(cause, answer, located)
  const reason = cause instanceof AuthError ? cause.message : reasonOf(cause, facts)
  return { code: authErrorCode(cause, answer), answer, reason, facts }
}

/** Translates errors of openid-client and jose into `AuthError`, with the error as its cause. */
export async function translate(cause: unknown, asked: FailedRequest = {}): Promise<never> {
  if (cause instanceof AuthError) throw cause
  const { code, reason, facts } = await failureOf(cause, asked)
  const isUnverified = isVerificationFailure(cause) && !isAboutCallback(cause)
  if (isUnverified) throw new VerificationError(reason, { cause, facts })
  throw new AuthError(code, reason, { cause, facts })
}

/** Returns the error for a provider that did not answer within a time limit. */
export function providerTooSlow(): AuthError {
  return new AuthError('provider_unavailable', 'the provider did not answer in time')
}

/** Returns the error for keys that could not be fetched, so that a token can be neither accepted nor refused. */
export function keysUnavailable(whose: 'issuer' | 'provider', cause?: unknown): AuthError {
  const facts = cause instanceof AuthError ? cause.facts : failureFacts(cause, NO_ANSWER, KEYS)
  const message = `the ${whose}'s keys could not be fetched`
  return new AuthError('provider_unavailable', message, cause === undefined ? {} : { cause, facts })
}

const NO_ANSWER: ProviderAnswer = { isJson: false }
const KEYS: FailedRequest = { endpoint: 'jwks_uri' }

/** Returns whether a token or an answer failed verification; false where the provider refused or could not be asked. */
export function isVerificationFailure(cause: unknown): boolean {
  if (cause instanceof AuthError) return cause instanceof VerificationError
  return failureKind(cause) === 'unverified'
}

/** Returns whether the provider gave no answer, or one that may pass by itself. */
export function isUnavailable(cause: unknown, answer: ProviderAnswer): boolean {
  return failureKind(cause, answer) === 'unavailable'
}

/** Returns `Retry-After` in milliseconds (RFC 9110 section 10.2.3); `undefined` where the response has none. */
export function retryAfterMs(cause: unknown, nowMs: number): number | undefined {
  const value = responseOf(cause)?.headers.get('retry-after')?.trim()
  if (!value) return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

/** Returns the endpoint that a failed verification is about: the keys' or the one that sent the token. */
function endpointOf(cause: unknown): 'jwks_uri' | 'token_endpoint' {
  const isAboutToken = isVerificationFailure(cause) && !codeOf(cause).startsWith('ERR_JWKS')
  return isAboutToken ? 'token_endpoint' : 'jwks_uri'
}

function authErrorCode(cause: unknown, answer: ProviderAnswer): AuthErrorCode {
  if (cause instanceof AuthError) return cause.code
  switch (failureKind(cause, answer)) {
    case 'refused':
      return codeOfRefusal(answer.error)
    case 'unverified':
      return isAboutCallback(cause) ? 'sign_in_failed' : 'sign_in_refused'
    case 'failed':
      return 'provider_failed'
    case 'unavailable':
      return 'provider_unavailable'
  }
}

/** Tells the code's fault, which a new sign-in mends, from the operator's. */
function codeOfRefusal(error: string | undefined): AuthErrorCode {
  if (error === 'invalid_grant') return 'sign_in_failed'
  return error === 'access_denied' ? 'access_denied' : 'sign_in_misconfigured'
}

/** Returns whether a parameter of the callback is missing or repeated, so that the request itself is malformed. */
function isAboutCallback(cause: unknown): boolean {
  const about = refusedParametersOf(cause)
  return about !== undefined && !about.parameters
}

/** Decides by code, status and OAuth error, never by a description. */
function failureKind(cause: unknown, answer: Partial<ProviderAnswer> = {}): FailureKind {
  const { status = responseOf(cause)?.status ?? 0, error } = answer
  if (status >= 500 || isPassing({ status, error })) return 'unavailable'
  if (isClientRefused({ status, error })) return 'refused'
  return kindByBody(cause, error) ?? KINDS[codeOf(cause)] ?? 'unavailable'
}

/** Returns the kind where the body decides: of another form, with an unreadable token, or a refusal that a challenge hides. */
function kindByBody(cause: unknown, error: string | undefined): FailureKind | undefined {
  const code = codeOf(cause)
  if (unreadableIdToken(cause) !== undefined) return 'unverified'
  if (MAY_BE_ABOUT_BODY.has(code) && isAboutBody(cause)) return 'failed'
  return error !== undefined && code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' ? 'refused' : undefined
}
