import { LRUCache } from 'lru-cache'
import { backoffMs } from '../../timing/backoff.ts'
import { atMostEntries } from '../at-most-entries.ts'
import type { Cause } from './result.ts'

/** Pauses between refresh attempts of one session on this replica. */
export interface RefreshPauses {
  isWaiting(digest: string): boolean
  /** Returns why the last attempt failed where the session waits because of it. */
  failureOf(digest: string): Cause | undefined
  /** Returns the same also where the session waits for another replica by now. */
  lastFailureOf(digest: string): Cause | undefined
  /** Starts a pause in which another replica may refresh the session. */
  wait(digest: string, ms: number): void
  /**
   * Starts a back-off of at least `retryAfterMs` (bounded to an hour) but never more than `atMostMs`, and returns its
   * length in milliseconds.
   */
  backOff(digest: string, after: Failed): number
  forget(digest: string): void
}

/** Failed attempt, as far as the next one depends on it. */
interface Failed {
  readonly why: Cause
  readonly retryAfterMs: number
  readonly atMostMs?: number
}

interface Pause {
  readonly untilMs: number
  readonly failures: number
  readonly isBackOff: boolean
  readonly why?: Cause | undefined
}

const BACKOFF = { minMs: 1000, maxMs: 60_000 }
/** Bounds `Retry-After` of the provider, which may exceed the back-off. */
const MAX_RETRY_AFTER_MS = 60 * 60 * 1000
const MAX_PAUSED = 100_000

export function createRefreshPauses(): RefreshPauses {
  const pauses = new LRUCache<string, Pause>({
    ...atMostEntries(MAX_PAUSED),
    ttl: MAX_RETRY_AFTER_MS,
  })

  function isWaiting(digest: string): boolean {
    const known = pauses.get(digest)
    return known !== undefined && performance.now() < known.untilMs
  }

  function wait(digest: string, ms: number, changes: Partial<Pause> = {}): void {
    const { failures = 0, why } = pauses.get(digest) ?? {}
    const untilMs = performance.now() + ms
    pauses.set(digest, { failures, why, isBackOff: false, untilMs, ...changes })
  }

  function failureOf(digest: string): Cause | undefined {
    const known = isWaiting(digest) ? pauses.get(digest) : undefined
    return known?.isBackOff ? known.why : undefined
  }

  return {
    isWaiting,
    failureOf,
    lastFailureOf: (digest) => pauses.get(digest)?.why,
    wait: (digest, ms) => wait(digest, ms),
    backOff(digest, { why, retryAfterMs, atMostMs = MAX_RETRY_AFTER_MS }) {
      const failures = pauses.get(digest)?.failures ?? 0
      const ownMs = backoffMs(failures, BACKOFF)
      const ms = Math.min(atMostMs, Math.max(ownMs, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)))
      wait(digest, ms, { failures: failures + 1, isBackOff: true, why })
      return ms
    },
    forget: (digest) => void pauses.delete(digest),
  }
}
