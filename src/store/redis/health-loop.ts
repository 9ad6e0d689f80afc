import type { RedisConnection } from '../../redis/connection.ts'
import type { Breakers } from '../../redis/guarded.ts'
import type { Dataset } from './dataset.ts'

export interface HealthLoop {
  /** The connection has just been made: finds out at once what works again. */
  probeNow(): Promise<void>
  /** An answer came that was not expected any more. */
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

/** Asks Redis now and then, and each second while a breaker is open, so that no visitor has to be the one who tries. */
export function startHealthLoop(options: HealthLoopOptions): HealthLoop {
  const { connection, breakers, dataset, intervalMs } = options
  let askedAtMs = performance.now()
  let isAsking = false

  /** Failures are counted where commands are sent; here there is nothing left to do about them. */
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

  const isOpen = () => [breakers.read, breakers.write].some(({ state }) => state === 'open')

  function tick(): void {
    if (!connection.isConnected) return
    // Nearer to this tick than to the next: ticks do not come to the millisecond.
    if (isOpen() || performance.now() - askedAtMs >= intervalMs - TICK_MS / 2) void ask()
  }

  const timer = options.isEnabled ? setInterval(tick, TICK_MS).unref() : undefined
  return {
    probeNow: ask,
    onLateAnswer() {
      if (isOpen()) void ask()
    },
    close: () => clearInterval(timer),
  }
}
