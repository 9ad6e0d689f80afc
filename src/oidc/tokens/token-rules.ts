import type { JWTPayload } from 'jose'
import { isText } from '../../core/claims.ts'
import { isFaithful } from '../../core/header-value.ts'

/** Accepted difference between clocks. */
export const CLOCK_TOLERANCE_SECONDS = 30

const TEN_YEARS_SECONDS = 10 * 365 * 86_400

/** Returns whether a token may live this long; refuses values such as an `exp` of 1e300 (threat A84). */
export function isReasonable(lifeSeconds: number): boolean {
  return lifeSeconds < TEN_YEARS_SECONDS
}

/** Returns whether `sub` reaches apps unchanged, so that no two users become one. */
export function hasUsableSubject({ sub }: JWTPayload): boolean {
  return isText(sub) && isFaithful(sub)
}
