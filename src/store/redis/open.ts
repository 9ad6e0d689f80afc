import { randomBytes } from 'node:crypto'
import { connectRedis } from '../../redis/connection.ts'
import { keepExamining } from '../../redis/examine/keep-examining.ts'
import { unavailable } from '../../redis/failure.ts'
import { type BreakerSettings, guardRedis } from '../../redis/guarded.ts'
import type { RedisTarget } from '../../redis/target.ts'
import { openBackplane } from '../../replicas/backplane.ts'
import { createFleet, type Fingerprint } from '../../replicas/fleet.ts'
import { keepAnnouncing } from '../../replicas/keep-announcing.ts'
import { watchSettling } from '../settling.ts'
import type { SharedState, StateListeners } from '../shared-state.ts'
import { createDataset } from './dataset.ts'
import { observeDisturbances } from './disturbances.ts'
import { startHealthLoop } from './health-loop.ts'
import { createObservedRedis } from './observed-redis.ts'
import type { RedisObserver } from './observer.ts'
import { createOpener } from './open-target.ts'
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
  readonly now: () => number
  readonly observer: RedisObserver
}

const PROBE_TIMEOUT_MS = 1000
const REPLICA_ID_BYTES = 6

/** One channel for all installations, so that replicas with different prefixes receive each other's announcements. */
const FLEET_CHANNEL = 'vestibule:fleet'

const ignore = () => undefined
const NO_LISTENERS: StateListeners = {
  onReattached: ignore,
  onDatasetChanged: ignore,
  onAnotherServer: ignore,
  onMessage: ignore,
  onUnknownMessage: ignore,
}

/**
 * Opens the shared state in Redis and returns at once, whether or not Redis can be reached. The callbacks name parts
 * that are opened further down, because a connection reports nothing before this function has returned.
 */
export function openRedisState(options: RedisStateOptions): SharedState {
  const { prefix, database, now, target, connectTimeoutMs } = options
  const place = `${prefix}${database}`
  const channel = `${place}:events`
  const replica = randomBytes(REPLICA_ID_BYTES).toString('hex')
  const settling = watchSettling(now)
  const observer = observeDisturbances(options.observer, settling)
  const { onFailure } = observer
  let listeners = NO_LISTENERS

  const connection = connectRedis({
    ...observer,
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
  const { breakers } = redis

  const dataset = createDataset({
    redis,
    prefix,
    timeoutMs: PROBE_TIMEOUT_MS,
    onChanged() {
      observer.onDatasetChanged()
      listeners.onDatasetChanged()
    },
  })
  const health = startHealthLoop({ ...options.healthCheck, connection, breakers, dataset })
  const examination = keepExamining({
    ...options,
    connection,
    names: { prefix, channel, fleetChannel: FLEET_CHANNEL },
    observer: {
      onExamined(examined) {
        observer.onExamined(examined)
        // Reads Redis's clock now, by which the moment of an order during an outage is converted later.
        ports.generations.current().catch(ignore)
      },
      onAnotherServer: () => listeners.onAnotherServer(),
    },
  })

  const fleet = createFleet({
    replica,
    fingerprint: () => ({ ...options.fingerprint(), place }),
    now,
  })
  const announcer = keepAnnouncing({
    fleet,
    publish: (text) =>
      connection.run(undefined, (client) => client.publish(FLEET_CHANNEL, text), PROBE_TIMEOUT_MS),
    onFleet: observer.onFleet,
  })
  const backplane = openBackplane({
    channel,
    fleetChannel: FLEET_CHANNEL,
    replica,
    connect: (observers) =>
      connectRedis({
        ...observers,
        open: createOpener({ target, connectTimeoutMs, purpose: 'subscription', onFailure }),
        onStillAway: ignore,
        onFailure,
      }),
    // Refuses before the first connection without counting a failure.
    send: (command, timeoutMs) =>
      connection.isConnected
        ? connection.run(undefined, command, timeoutMs)
        : Promise.reject(unavailable(new Error('not connected'))),
    redisNow: () => now() + (examination.latest?.clockOffsetMs ?? 0),
    onMessage: (message) => listeners.onMessage(message),
    onUnknown() {
      observer.onUnknownMessage()
      listeners.onUnknownMessage()
    },
    onFleet: announcer.receive,
    onApplied: observer.onApplied,
    onHealth(isHealthy) {
      observer.onBackplane(isHealthy)
      if (isHealthy) announcer.announce()
    },
  })

  const ports = createRedisPorts({
    ...options,
    redis,
    channel,
    writeMessage: backplane.writeMessage,
  })
  const observed = createObservedRedis({
    connection,
    breakers,
    backplane,
    fleet,
    examination,
    latencyKey: `${prefix}{health}`,
    timeoutMs: PROBE_TIMEOUT_MS,
  })
  return {
    ...ports,
    backplane,
    redis: observed,
    firstAttempt: connection.firstAttempt,
    settling,
    subscribe(given) {
      listeners = given
    },
    get isAvailable() {
      const isOpen = [breakers.read, breakers.write].some(({ state }) => state === 'open')
      return connection.isExpected && !isOpen
    },
    async close() {
      announcer.stop()
      examination.stop()
      health.close()
      await backplane.close()
      await connection.close()
    },
  }
}
