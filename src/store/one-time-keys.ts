/** Kind of a value that may be used once. */
export type ConsumptionKind = 'login' | 'id-token' | 'bearer' | 'dpop' | 'logout-token'

/**
 * Marks values as consumed, atomically over all replicas, on a port of its own so that no cache can answer for it.
 * Throws `AuthError` `store_unavailable` when the store gives no answer.
 */
export interface OneTimeKeys {
  /**
   * Resolves with true for the first attempt, also when it is repeated, because our own retry is no replay. `attemptId`
   * is random per incoming request; `timeoutMs` shortens the store's own limit.
   */
  consume(
    kind: ConsumptionKind,
    key: string,
    attemptId: string,
    ttlMs: number,
    timeoutMs?: number,
  ): Promise<boolean>
  /** Sets the TTL of this attempt's mark; resolves with false when the mark is absent. */
  extend(kind: ConsumptionKind, key: string, attemptId: string, ttlMs: number): Promise<boolean>
  /** Deletes this attempt's mark, because the value turned out to be unspent. */
  release(kind: ConsumptionKind, key: string, attemptId: string): Promise<void>
}
