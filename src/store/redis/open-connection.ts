import type { EpochMs } from '../../core/epoch-ms.ts'
import { connectRedis, type RedisConnection } from '../../redis/connection.ts'
import { type KeptExamination, keepExamining } from '../../redis/examine/keep-examining.ts'
import type { SelfTestNames } from '../../redis/examine/try-commands.ts'
import type { RedisFailure } from '../../redis/failure.ts'
import { type BreakerSettings, type GuardedRedis, guardRedis } from '../../redis/guarded.ts'
import type { RedisTarget } from '../../redis/target.ts'
import type { WatchedSettling } from '../settling.ts'
import type { StateListeners } from '../shared-state.ts'
import { createDataset } from './dataset.ts'
import { startHealthLoop } from './health-loop.ts'
import type { RedisObserver } from './observer.ts'
import { createOpener } from './open-target.ts'

export interface OpenConnectionOptions {
  readonly target: () => RedisTarget
  readonly connectTimeoutMs: number
  readonly readTimeoutMs: number
  readonly probeTimeoutMs: number
  readonly breaker: Omit<BreakerSettings, 'onChange' | 'onRead'>
  readonly healthCheck: { readonly isEnabled: boolean; readonly intervalMs: number }
  readonly names: SelfTestNames
  readonly settling: WatchedSettling
  readonly observer: RedisObserver
  readonly listeners: Pick<StateListeners, 'onReattached' | 'onDatasetChanged' | 'onAnotherServer'>
  readonly now: () => EpochMs
}

/** Connection for commands with everything that watches it. */
export interface WatchedConnection {
  readonly connection: RedisConnection
  readonly redis: GuardedRedis
  readonly examination: KeptExamination
  close(): Promise<void>
}

/**
 * Connects to Redis and watches it: circuit breakers, periodic probes, self-test. The connection's callbacks name parts
 * made further down, because it reports nothing before this function has returned.
 */
export function openConnection(options: OpenConnectionOptions): WatchedConnection {
  const { target, connectTimeoutMs, names, settling, observer, listeners } = options
  const connection = connectRedis({
    ...observer,
    onFailure(failure) {
      observer.onFailure(failure)
      // Looks at once for what keeps sessions from being written, and not at the next self-test (finding C51).
      if (REFUSED_WRITES.has(failure)) examination.suspect()
    },
    open: createOpener({ ...observer, target, connectTimeoutMs }),
    onConnected() {
      observer.onConnected()
      void health.probeNow().then(() => listeners.onReattached())
      examination.start()
    },
    onPrimaryConnected: settling.disturb,
    onLateAnswer: () => health.onLateAnswer(),
  })
  const redis = guardRedis(connection, {
    ...options.breaker,
    onChange: observer.onBreaker,
    onRead: observer.onRead,
  })
  const dataset = createDataset({
    redis,
    prefix: names.prefix,
    timeoutMs: options.probeTimeoutMs,
    onChanged() {
      observer.onDatasetChanged()
      listeners.onDatasetChanged()
    },
  })
  const { breakers } = redis
  const health = startHealthLoop({ ...options.healthCheck, connection, breakers, dataset })
  const examination = keepExamining({
    ...options,
    connection,
    observer: {
      onExamined: observer.onExamined,
      onAnotherServer: () => listeners.onAnotherServer(),
    },
  })
  return {
    connection,
    redis,
    examination,
    async close() {
      examination.stop()
      health.close()
      await connection.close()
    },
  }
}

/** Failures that a self-test explains. */
const REFUSED_WRITES: ReadonlySet<RedisFailure> = new Set([
  'cluster',
  'full',
  'misconf',
  'permission',
  'readonly',
  'replication',
  'unsupported',
])
