import { randomBytes } from 'node:crypto'
import type { EpochMs } from '../../core/epoch-ms.ts'
import { type BreakerSettings, isSomeOpen } from '../../redis/guarded.ts'
import type { RedisTarget } from '../../redis/target.ts'
import type { Fingerprint } from '../../replicas/differences.ts'
import { watchSettling } from '../settling.ts'
import type { SharedState, StateListeners } from '../shared-state.ts'
import { observeDisturbances } from './disturbances.ts'
import { namesIn } from './names.ts'
import { createObservedRedis } from './observed-redis.ts'
import type { RedisObserver } from './observer.ts'
import { openConnection } from './open-connection.ts'
import { openReplicas } from './open-replicas.ts'
import { createRedisPorts } from './ports.ts'

export interface RedisStateOptions {
  readonly target: () => RedisTarget
  readonly database: number
  readonly prefix: string
  readonly connectTimeoutMs: number
  readonly readTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly breaker: Omit<BreakerSettings, 'onChange' | 'onRead'>
  readonly healthCheck: { readonly isEnabled: boolean; readonly intervalMs: number }
  /** Returns the fingerprint that is compared with that of other replicas, without the place. */
  readonly fingerprint: () => Omit<Fingerprint, 'place'>
  /** Wall clock in milliseconds, compared with Redis's clock. */
  readonly now: () => EpochMs
  readonly observer: RedisObserver
}

const PROBE_TIMEOUT_MS = 1000
const REPLICA_ID_BYTES = 6

const ignore = () => undefined

/** Opens the shared state in Redis and returns at once, whether or not Redis can be reached. */
export function openRedisState(options: RedisStateOptions): SharedState {
  const { prefix, database, now } = options
  const place = `${prefix}${database}`
  const names = namesIn(prefix, database)
  const settling = watchSettling(now)
  const observer = observeDisturbances(options.observer, settling)
  const listeners: StateListeners = {
    onReattached: ignore,
    onDatasetChanged: ignore,
    onAnotherServer: ignore,
    onMessage: ignore,
    onSubscribed: ignore,
    onUnknownMessage: ignore,
  }
  const shared = { ...options, names, listeners, probeTimeoutMs: PROBE_TIMEOUT_MS }

  const watched = openConnection({
    ...shared,
    settling,
    observer: {
      ...observer,
      onExamined(examined) {
        observer.onExamined(examined)
        // Reads Redis's clock now, by which the moment of an order during an outage is converted later.
        ports.generations.current().catch(ignore)
      },
    },
  })
  const { connection, redis, examination } = watched
  const { breakers } = redis
  const replicas = openReplicas({
    ...shared,
    observer,
    connection,
    replica: randomBytes(REPLICA_ID_BYTES).toString('hex'),
    fingerprint: () => ({ ...options.fingerprint(), place }),
    redisNow: () => now() + (examination.latest?.clockOffsetMs ?? 0),
  })
  const { backplane, fleet } = replicas
  const ports = createRedisPorts({
    ...options,
    ...names,
    redis,
    writeMessage: backplane.writeMessage,
  })
  return {
    ...ports,
    backplane,
    redis: createObservedRedis({
      connection,
      breakers,
      backplane,
      fleet,
      examination,
      latencyKey: `${prefix}{health}`,
      timeoutMs: PROBE_TIMEOUT_MS,
    }),
    firstAttempt: connection.firstAttempt,
    settling,
    subscribe: (given) => void Object.assign(listeners, given),
    get isAvailable() {
      return connection.isExpected && !isSomeOpen(breakers)
    },
    announce: replicas.announce,
    leave: () => void replicas.leave(),
    async close() {
      await replicas.close()
      await watched.close()
    },
  }
}
