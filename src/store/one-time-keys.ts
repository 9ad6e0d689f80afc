/** What can be consumed once. */
export type ConsumptionKind = 'login' | 'id-token' | 'bearer' | 'dpop' | 'logout-token'

/**
 * Marks things as consumed, atomically over all replicas. A port of its own, so that no cache can stand in front
 * of it. Throws `AuthError` `store_unavailable` when it cannot tell.
 */
export interface OneTimeKeys {
  /**
   * True for the first use, and for the same attempt again (a resend of our own is no replay). `attemptId` is random
   * per incoming request; `timeoutMs` is for callers that cannot wait as long as the store would.
   */
  consume(
    kind: ConsumptionKind,
    key: string,
    attemptId: string,
    ttlMs: number,
    timeoutMs?: number,
  ): Promise<boolean>
  /** Lets this attempt's mark live `ttlMs` from now; false when it is there no more. */
  extend(kind: ConsumptionKind, key: string, attemptId: string, ttlMs: number): Promise<boolean>
  /** Takes back this attempt's mark, for a thing that turned out not to have been spent. */
  release(kind: ConsumptionKind, key: string, attemptId: string): Promise<void>
}
