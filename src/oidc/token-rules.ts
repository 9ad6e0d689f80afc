import type { JWTPayload } from 'jose'
import { isFaithful } from '../core/header-value.ts'

/**
 * Accepted algorithms, asymmetric only, so that a party that can verify a token cannot forge one (RFC 8725 section 3.2,
 * threat A80).
 */
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

/** Returns whether a token may live this long; refuses values such as an `exp` of 1e300 (threat A84). */
export function isReasonable(lifeSeconds: number): boolean {
  return lifeSeconds < TEN_YEARS_SECONDS
}

/** Returns whether `sub` reaches apps unchanged, so that no two users become one. */
export function hasUsableSubject({ sub }: JWTPayload): boolean {
  return isText(sub) && isFaithful(sub)
}

export function isText(claim: unknown): claim is string {
  return typeof claim === 'string' && claim !== ''
}
