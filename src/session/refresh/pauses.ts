import { LRUCache } from 'lru-cache'
import { backoffMs } from '../../timing/backoff.ts'

/** Pauses between refresh attempts of one session on this replica. */
export interface RefreshPauses {
  isWaiting(digest: string): boolean
  /** Returns whether the session waits because its last attempt failed. */
  isBackingOff(digest: string): boolean
  wait(digest: string, ms: number): void
  /**
   * Starts a back-off of at least `retryAfterMs` (bounded to an hour) but never more than `atMostMs`, and returns its
   * length in milliseconds.
   */
  backOff(digest: string, retryAfterMs: number, atMostMs?: number): number
  forget(digest: string): void
}

interface Pause {
  readonly untilMs: number
  readonly failures: number
}

const BACKOFF = { minMs: 1000, maxMs: 60_000 }
/** Bounds `Retry-After` of the provider, which may exceed the back-off. */
const MAX_RETRY_AFTER_MS = 60 * 60 * 1000
const MAX_PAUSED = 100_000

export function createRefreshPauses(): RefreshPauses {
  const pauses = new LRUCache<string, Pause>({ max: MAX_PAUSED, ttl: MAX_RETRY_AFTER_MS })
  const failuresOf = (digest: string) => pauses.get(digest)?.failures ?? 0

  function isWaiting(digest: string): boolean {
    const known = pauses.get(digest)
    return known !== undefined && performance.now() < known.untilMs
  }

  function wait(digest: string, ms: number, failures = failuresOf(digest)): void {
    pauses.set(digest, { untilMs: performance.now() + ms, failures })
  }

  return {
    isWaiting,
    isBackingOff: (digest) => isWaiting(digest) && failuresOf(digest) > 0,
    wait: (digest, ms) => wait(digest, ms),
    backOff(digest, retryAfterMs, atMostMs = MAX_RETRY_AFTER_MS) {
      const failures = failuresOf(digest)
      const ownMs = backoffMs(failures, BACKOFF)
      const ms = Math.min(atMostMs, Math.max(ownMs, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)))
      wait(digest, ms, failures + 1)
      return ms
    },
    forget: (digest) => void pauses.delete(digest),
  }
}
