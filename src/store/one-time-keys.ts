/** Kind of a value that may be used once. */
export type ConsumptionKind = 'login' | 'id-token' | 'bearer' | 'dpop' | 'logout-token'

/** Attempt to consume a value. */
export interface ConsumptionAttempt {
  readonly kind: ConsumptionKind
  /** Digest of the value. */
  readonly key: string
  /** Random per incoming request, so that its own retry is no replay. */
  readonly attemptId: string
}

/**
 * Marks values as consumed, atomically over all replicas, on a port of its own so that no cache can answer for it.
 * Throws `AuthError` `store_unavailable` when the store gives no answer.
 */
export interface OneTimeKeys {
  /**
   * Resolves with true for the first attempt, also when it is repeated; `timeoutMs` shortens the store's own limit.
   */
  consume(attempt: ConsumptionAttempt, ttlMs: number, timeoutMs?: number): Promise<boolean>
  /** Sets the TTL of this attempt's mark; resolves with false when the mark is absent. */
  extend(attempt: ConsumptionAttempt, ttlMs: number): Promise<boolean>
  /** Deletes this attempt's mark, because the value turned out to be unspent. */
  release(attempt: ConsumptionAttempt): Promise<void>
}
