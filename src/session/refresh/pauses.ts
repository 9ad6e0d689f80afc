import { LRUCache } from 'lru-cache'

/** Which sessions this replica does not try to refresh again yet. */
export interface RefreshPauses {
  isWaiting(digest: string): boolean
  /** Whether it is for a failure that it waits. */
  hasFailed(digest: string): boolean
  wait(digest: string, ms: number): void
  /** Longer for each failure in a row, and no shorter than the provider asks for; says for how long. */
  backOff(digest: string, retryAfterMs: number): number
  forget(digest: string): void
}

interface Pause {
  readonly untilMs: number
  readonly failures: number
}

const MIN_BACKOFF_MS = 1000
const MAX_BACKOFF_MS = 60_000
/** A provider may ask for more than our own back-off, up to this. */
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
    hasFailed: (digest) => isWaiting(digest) && failuresOf(digest) > 0,
    wait: (digest, ms) => wait(digest, ms),
    backOff(digest, retryAfterMs) {
      const failures = failuresOf(digest) + 1
      const ownMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** (failures - 1))
      const jitter = 0.5 + Math.random() / 2
      const ms = Math.max(ownMs * jitter, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS))
      wait(digest, ms, failures)
      return ms
    },
    forget: (digest) => void pauses.delete(digest),
  }
}
