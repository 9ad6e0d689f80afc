export interface BackoffBounds {
  readonly minMs: number
  readonly maxMs: number
}

/** Returns the pause after `failures` failures in a row, doubled for each: 0 gives `minMs`. */
export function exponentialMs(failures: number, { minMs, maxMs }: BackoffBounds): number {
  return Math.min(maxMs, minMs * 2 ** failures)
}

/**
 * Returns a back-off with jitter: half to all of `exponentialMs`, because replicas that failed together would retry
 * together otherwise.
 */
export function backoffMs(failures: number, bounds: BackoffBounds): number {
  return exponentialMs(failures, bounds) * (0.5 + Math.random() / 2)
}

/** Spreads a period by a quarter each way, so that replicas that started together do not stay in step. */
export function jitterMs(periodMs: number): number {
  return periodMs * (0.75 + Math.random() / 2)
}
