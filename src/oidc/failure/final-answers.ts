import { codeOf } from '../request/provider-errors.ts'
import { isAboutBody, isClientRefused, type ProviderAnswer, type Told } from './failed-answer.ts'

/** OAuth errors that may pass by themselves; all others are the provider's last word on a request. */
const PASSING_ERRORS: ReadonlySet<string | undefined> = new Set([
  'temporarily_unavailable',
  'server_error',
  'slow_down',
  // Keycloak's, where somebody was too long at its sign-in page (finding C34).
  'authentication_expired',
])

/** Statuses below 500 that say nothing about the request itself (RFC 9110 section 15.5, RFC 6585, RFC 8470). */
const PASSING_STATUSES: ReadonlySet<number | undefined> = new Set([408, 421, 425, 429])

/** Returns whether an answer below 500 may pass by itself, so that the same request may succeed later (finding C34). */
export function isPassing({ status, error }: Told): boolean {
  return PASSING_STATUSES.has(status) || PASSING_ERRORS.has(error)
}

/** Returns whether the provider refused a request with an OAuth error, for what it is (RFC 6749 section 5.2). */
export function isRefusal(answer: ProviderAnswer): boolean {
  const { status = 0, error } = answer
  return status >= 400 && status < 500 && error !== undefined && !isPassing(answer)
}

/** Returns whether a refresh token or code was refused as such. */
export function isInvalidGrant(answer: ProviderAnswer): boolean {
  return answer.error === 'invalid_grant' && isRefusal(answer)
}

/**
 * Returns whether the provider has definitely refused a request: with an OAuth error, or with JSON that can never be used
 * (finding C20). A refused client is no such refusal, because the operator can correct it.
 */
export function isDefinite(cause: unknown, answer: ProviderAnswer): boolean {
  if (isClientRefused(answer) || isPassing(answer)) return false
  return isRefusal(answer) ? answer.isJson : isUselessJson(cause, answer)
}

/** Returns whether JSON that is no OAuth error can never be used: of a success, or of 400, the status of refused tokens. */
function isUselessJson(cause: unknown, { status = 0, isJson }: ProviderAnswer): boolean {
  const isFinal = (status >= 200 && status < 300) || status === 400
  return (
    isAboutBody(cause) || codeOf(cause) === 'OAUTH_UNSUPPORTED_OPERATION' || (isFinal && isJson)
  )
}
