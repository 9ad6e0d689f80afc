import { setTimeout as pause } from 'node:timers/promises'
import { jitterMs } from '../../timing/backoff.ts'

export interface RefreshOptions {
  readonly refresh: () => Promise<void>
  /** Returns false as long as refreshes are to follow each other without a request. */
  readonly isSettled: () => boolean
  readonly signal: AbortSignal
}

/** Minimum time between two refreshes, so that many requests cause no storm. */
const MIN_INTERVAL_MS = 250
/** Time after which a refresh happens without a request. */
const MAX_INTERVAL_MS = 30_000

/** Refreshes a cluster's topology until `signal` aborts. Returns a function that requests a refresh soon. */
export function keepRefreshing({ refresh, isSettled, signal }: RefreshOptions): () => void {
  let requested = Promise.withResolvers<void>()
  const refreshSoon = () => requested.resolve()
  signal.addEventListener('abort', refreshSoon)

  async function keep(): Promise<void> {
    while (!signal.aborted) {
      const timer = setTimeout(refreshSoon, jitterMs(MAX_INTERVAL_MS)).unref()
      await requested.promise
      clearTimeout(timer)
      if (signal.aborted) return
      requested = Promise.withResolvers()
      await refresh().catch(() => undefined)
      if (!isSettled()) refreshSoon()
      await pause(jitterMs(MIN_INTERVAL_MS), undefined, { ref: false })
    }
  }

  void keep()
  return refreshSoon
}
