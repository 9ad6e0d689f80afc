import { setTimeout as pause } from 'node:timers/promises'
import { waitAtMost } from '../timing/time-limit.ts'
import type { Revocations } from './revocations.ts'

/** Loop that tells the store of deferred ends as soon as it is back. */
export interface Flushing {
  /** Stops the loop, flushes for up to 2 s and resolves with the number of ends that are lost. */
  stop(): Promise<number>
}

const INTERVAL_MS = 1000
const LAST_FLUSH_MS = 2000
const RETRY_MS = 100

/** Flushes each second while ends wait. Does not keep the process alive. */
export function keepFlushing(revocations: Pick<Revocations, 'flush' | 'waiting'>): Flushing {
  const timer = setInterval(() => {
    if (revocations.waiting > 0) void revocations.flush()
  }, INTERVAL_MS).unref()
  return {
    async stop() {
      clearInterval(timer)
      const untilMs = performance.now() + LAST_FLUSH_MS
      for (let leftMs = LAST_FLUSH_MS; revocations.waiting > 0 && leftMs > 0; ) {
        await waitAtMost(revocations.flush(), leftMs)
        if (revocations.waiting > 0) await pause(RETRY_MS)
        leftMs = untilMs - performance.now()
      }
      return revocations.waiting
    },
  }
}
