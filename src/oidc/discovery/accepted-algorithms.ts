import { SIGNING_ALGORITHMS } from '../../core/signing-algorithms.ts'

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
  if (!Array.isArray(listed)) return SIGNING_ALGORITHMS
  return SIGNING_ALGORITHMS.filter((algorithm) => listed.includes(algorithm))
}
