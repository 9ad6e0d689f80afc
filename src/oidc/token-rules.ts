import type { JWTPayload } from 'jose'
import { isFaithful } from '../core/header-value.ts'

/** Asymmetric ones only: whoever can verify a token must not be able to make one (RFC 8725 section 3.2, threat A80). */
export const ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

const TEN_YEARS_SECONDS = 10 * 365 * 86_400

/** Whether a life is one that a token can have; an `exp` of 1e300 is a number too (threat A84). */
export function isReasonable(lifeSeconds: number): boolean {
  return lifeSeconds < TEN_YEARS_SECONDS
}

/** Whether there is a `sub` that names one user and no other. */
export function hasUsableSubject({ sub }: JWTPayload): boolean {
  return isText(sub) && isFaithful(sub)
}

/** Whether a claim is there and says something. */
export function isText(claim: unknown): claim is string {
  return typeof claim === 'string' && claim !== ''
}
