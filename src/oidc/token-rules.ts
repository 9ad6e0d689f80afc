import type { JWTPayload } from 'jose'
import { isFaithful } from '../core/header-value.ts'
import { SIGNING_ALGORITHMS } from '../core/signing-algorithms.ts'

export const ALGORITHMS: readonly string[] = SIGNING_ALGORITHMS

/** Setting that names the only accepted algorithm, for the log. */
export const ALGORITHM_SETTING = 'OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG'

/** Part of the provider's metadata that lists the algorithms of its tokens. */
export interface ListedAlgorithms {
  readonly id_token_signing_alg_values_supported?: unknown
}

/**
 * Returns the algorithms accepted for what the provider signs: the one that the client is registered for, else those of
 * ours that the metadata list, or all of ours where they list none (finding C66).
 */
export function acceptedAlgorithms(
  { id_token_signing_alg_values_supported: listed }: ListedAlgorithms,
  registered?: string,
): readonly string[] {
  if (registered !== undefined) return [registered]
  if (!Array.isArray(listed)) return ALGORITHMS
  return ALGORITHMS.filter((algorithm) => listed.includes(algorithm))
}

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
