import { setTimeout as pause } from 'node:timers/promises'

export interface RefreshOptions {
  readonly refresh: () => Promise<void>
  /** While it is not, everything is refreshed again and again. */
  readonly isSettled: () => boolean
  readonly signal: AbortSignal
}

/** At least so long between two times, so that many who ask for it make no storm. */
const AGAIN_MS = 250
/** Without anybody's asking. */
const ANYWAY_MS = 30_000

/** Returns what asks for a refresh soon. Failures are tried again. */
export function keepRefreshing({ refresh, isSettled, signal }: RefreshOptions): () => void {
  let wanted = Promise.withResolvers<void>()
  const soon = () => wanted.resolve()
  signal.addEventListener('abort', soon)

  async function keep(): Promise<void> {
    while (!signal.aborted) {
      const timer = setTimeout(soon, jitter(ANYWAY_MS)).unref()
      await wanted.promise
      clearTimeout(timer)
      if (signal.aborted) return
      wanted = Promise.withResolvers()
      await refresh().catch(() => undefined)
      if (!isSettled()) soon()
      await pause(jitter(AGAIN_MS), undefined, { ref: false })
    }
  }

  void keep()
  return soon
}

function jitter(ms: number): number {
  return ms * (0.5 + Math.random())
}
