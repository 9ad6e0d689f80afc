import { errors } from 'jose'
import { ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client'
import type { FailureFacts } from '../../errors.ts'

// This file, failed-answer.ts and claim-facts.ts are the only readers of the errors of openid-client and jose.

/**
 * Failure that Vestibule itself found in what the provider sent; the message quotes nothing secret. A `TypeError`, as
 * `fetch` rejects with, because openid-client passes on no other error of ours unchanged.
 */
export class ProviderFault extends TypeError {
  readonly code: string | undefined
  readonly facts: FailureFacts

  constructor(message: string, code?: string, facts: FailureFacts = {}) {
    super(message)
    this.name = 'ProviderFault'
    this.code = code
    this.facts = facts
  }
}

/** Returns a fault with further facts, over which those that it has win. */
export function withFacts(
  { message, code, facts }: ProviderFault,
  more: FailureFacts,
): ProviderFault {
  return new ProviderFault(message, code, { ...more, ...facts })
}

/** Returns the code of an error of openid-client or jose; `''` where there is none. */
export function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : ''
}

/** Returns the response that an error is about, if there was one. */
export function responseOf(cause: unknown): Response | undefined {
  if (cause instanceof ResponseBodyError || cause instanceof WWWAuthenticateChallengeError) {
    return cause.response
  }
  return cause instanceof Error && cause.cause instanceof Response ? cause.cause : undefined
}

/** Returns status and error code of a refusal by a resource (RFC 6750 section 3); `undefined` without an error code. */
export function challengeOf({ status, headers }: Response): string | undefined {
  const error = /\berror="?([a-z_]{1,40})\b/.exec(headers.get('www-authenticate') ?? '')?.[1]
  return error === undefined ? undefined : `${status}, ${error}`
}

/** Facts of answers: where they came from and how we proved who we are. */
const factsOfAnswers = new WeakMap<Response, FailureFacts>()

/** Remembers facts of an answer for the errors that openid-client makes of it. */
export function noteFacts(answer: Response, facts: FailureFacts): void {
  factsOfAnswers.set(answer, facts)
}

/** Returns what was noted of the answer that an error is about, or what its finder knows. */
export function notedFactsOf(cause: unknown): FailureFacts {
  const fault = faultIn(cause)
  if (fault) return fault.facts
  const response = responseOf(cause)
  return (response && factsOfAnswers.get(response)) ?? {}
}

/** Returns the fault that Vestibule itself found, also where a library has wrapped it. */
export function faultIn(cause: unknown): ProviderFault | undefined {
  for (let each = cause; each instanceof Error; each = each.cause) {
    if (each instanceof ProviderFault) return each
  }
  return undefined
}

/** Returns whether a token's `exp` has passed. */
export function isExpired(cause: unknown): boolean {
  return cause instanceof errors.JWTExpired
}

/** Returns whether the key set has no key for a token. */
export function isUnknownKey(cause: unknown): boolean {
  return cause instanceof errors.JWKSNoMatchingKey
}

/** Returns whether no key of the key set is the token's, or none made its signature; newer keys may be. */
export function isAboutKey(cause: unknown): boolean {
  return isUnknownKey(cause) || cause instanceof errors.JWSSignatureVerificationFailed
}

/** Returns the error for a token whose key is not in the key set. */
export function unknownKey(): Error {
  return new errors.JWKSNoMatchingKey()
}

const TIMES = new Set(['exp', 'iat', 'nbf'])

/** Returns whether a token fails only because of its times, which may be due to a wrong clock (F28). */
export function isAboutTime(cause: unknown): boolean {
  return (
    isExpired(cause) ||
    (cause instanceof errors.JWTClaimValidationFailed &&
      cause.reason === 'check_failed' &&
      TIMES.has(cause.claim))
  )
}

/** Returns the error for a key in a token's own header that is not accepted. */
export function unusableKey(): Error {
  return new errors.JWSInvalid('the key is not usable')
}

/** Returns the error for a key set without keys. */
export function emptyKeySet(facts: FailureFacts): Error {
  return new ProviderFault('the key set has no keys', errors.JWKSInvalid.code, facts)
}
