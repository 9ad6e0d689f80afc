import type { RedisConnection } from '../../redis/connection.ts'
import { type Breakers, isSomeOpen } from '../../redis/guarded.ts'
import type { Dataset } from './dataset.ts'

/** Probe of Redis that closes the breakers before a visitor has to try. */
export interface HealthLoop {
  /** Probes at once, which closes the breakers where Redis works again. */
  probeNow(): Promise<void>
  /** Probes while a breaker is open, because an answer after its deadline shows that Redis works. */
  onLateAnswer(): void
  close(): void
}

export interface HealthLoopOptions {
  readonly connection: RedisConnection
  readonly breakers: Breakers
  readonly dataset: Dataset
  readonly isEnabled: boolean
  readonly intervalMs: number
}

const TICK_MS = 1000

/**
 * Probes Redis periodically, and each second while a breaker is open, so that no visitor's request has to be the
 * probe.
 */
export function startHealthLoop(options: HealthLoopOptions): HealthLoop {
  const { connection, breakers, dataset, intervalMs } = options
  let askedAtMs = performance.now()
  let isAsking = false

  /** Sends both probes and ignores failures, because the breakers have counted them. */
  async function ask(): Promise<void> {
    if (isAsking) return
    isAsking = true
    askedAtMs = performance.now()
    breakers.write.tryNow()
    await dataset.write().catch(() => undefined)
    breakers.read.tryNow()
    await dataset.read().catch(() => undefined)
    isAsking = false
  }

  function tick(): void {
    if (!connection.isConnected) return
    // Allows half a tick, because timers are not exact to the millisecond.
    if (isSomeOpen(breakers) || performance.now() - askedAtMs >= intervalMs - TICK_MS / 2)
      void ask()
  }

  const timer = options.isEnabled ? setInterval(tick, TICK_MS).unref() : undefined
  return {
    probeNow: ask,
    onLateAnswer() {
      if (isSomeOpen(breakers)) void ask()
    },
    close: () => clearInterval(timer),
  }
}
