import { randomBytes } from 'node:crypto'
import { connectRedis } from '../../redis/connection.ts'
import { keepExamining } from '../../redis/examine/keep-examining.ts'
import { unavailable } from '../../redis/failure.ts'
import { type BreakerSettings, guardRedis } from '../../redis/guarded.ts'
import type { RedisTarget } from '../../redis/target.ts'
import { openBackplane } from '../../replicas/backplane.ts'
import { createFleet, type Fingerprint } from '../../replicas/fleet.ts'
import { watchSettling } from '../settling.ts'
import type { SharedState, StateListeners } from '../shared-state.ts'
import { createDataset } from './dataset.ts'
import { observeDisturbances } from './disturbances.ts'
import { type HealthLoop, startHealthLoop } from './health-loop.ts'
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
  /** What this replica has in common with the others, but for the place. */
  readonly fingerprint: () => Omit<Fingerprint, 'place'>
  /** Wall clock, to compare with that of Redis. */
  readonly now: () => number
  readonly observer: RedisObserver
}

const PROBE_TIMEOUT_MS = 1000
const ANNOUNCE_MS = 10_000
const REPLICA_ID_BYTES = 6

/** One for all installations, so that replicas with different prefixes hear of each other. */
const FLEET_CHANNEL = 'vestibule:fleet'

const ignore = () => undefined
const NO_LISTENERS: StateListeners = {
  onReattached: ignore,
  onDatasetChanged: ignore,
  onAnotherServer: ignore,
  onMessage: ignore,
  onUnknownMessage: ignore,
}

/** Sessions and marks in Redis. Returns at once, whether Redis is there or not. */
export function openRedisState(options: RedisStateOptions): SharedState {
  const { prefix, database, now, target, connectTimeoutMs } = options
  let listeners = NO_LISTENERS
  const settling = watchSettling(now)
  const observer = observeDisturbances(options.observer, settling)
  const { onFailure } = observer
  const channel = `${prefix}${database}:events`
  const replica = randomBytes(REPLICA_ID_BYTES).toString('hex')

  const connection = connectRedis({
    ...observer,
    open: createOpener({ ...observer, target, connectTimeoutMs }),
    onConnected() {
      observer.onConnected()
      void loop.probeNow().then(() => listeners.onReattached())
      examination.start()
    },
    onPrimaryConnected: settling.disturb,
    onLateAnswer: () => loop.signOfLife(),
  })
  const redis = guardRedis(connection, {
    ...options.breaker,
    onChange: observer.onBreaker,
    onRead: observer.onRead,
  })
  const dataset = createDataset({
    redis,
    prefix,
    timeoutMs: PROBE_TIMEOUT_MS,
    onChanged() {
      observer.onDatasetChanged()
      listeners.onDatasetChanged()
    },
  })
  const loop: HealthLoop = startHealthLoop({
    ...options.healthCheck,
    connection,
    breakers: redis.breakers,
    dataset,
  })
  const examination = keepExamining({
    ...options,
    connection,
    names: { prefix, channel, fleetChannel: FLEET_CHANNEL },
    observer: {
      onExamined(examination) {
        observer.onExamined(examination)
        // Reads Redis's clock now, by which the moment of an order during an outage is told later.
        ports.generations.current().catch(() => undefined)
      },
      onAnotherServer: () => listeners.onAnotherServer(),
    },
  })
  const fleet = createFleet({
    replica,
    fingerprint: () => ({ ...options.fingerprint(), place: `${prefix}${database}` }),
    now,
  })
  const announce = () => {
    const text = fleet.announcement()
    connection
      .run(undefined, (client) => client.publish(FLEET_CHANNEL, text), PROBE_TIMEOUT_MS)
      .catch(() => undefined)
  }
  const announcing = setInterval(announce, ANNOUNCE_MS).unref()
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
    send: (command, timeoutMs) =>
      // Before the first connection there is nothing to count as a failure.
      connection.isConnected
        ? connection.run(undefined, command, timeoutMs)
        : Promise.reject(unavailable(new Error('not connected'))),
    redisNow: () => now() + (examination.latest?.clockOffsetMs ?? 0),
    onMessage: (message) => listeners.onMessage(message),
    onUnknown() {
      observer.onUnknownMessage()
      listeners.onUnknownMessage()
    },
    onFleet(text) {
      if (fleet.hear(text)) announce()
      observer.onFleet(fleet.findings)
    },
    onApplied: observer.onApplied,
    onHealth(isHealthy) {
      observer.onBackplane(isHealthy)
      if (isHealthy) announce()
    },
  })

  const shared = { ...options, redis, channel, writeMessage: backplane.writeMessage }
  const ports = createRedisPorts(shared)
  const { breakers } = redis
  return {
    ...ports,
    backplane,
    redis: {
      get isConnected() {
        return connection.isConnected
      },
      get commandsInFlight() {
        return connection.inFlight
      },
      breakers,
      get isBackplaneHealthy() {
        return backplane.epoch !== undefined
      },
      fleet,
      get examination() {
        return examination.latest
      },
      async measureLatency() {
        const sentAtMs = performance.now()
        const key = `${prefix}{health}`
        const read = connection.run(key, (client) => client.get(key), PROBE_TIMEOUT_MS)
        return read.then(
          () => performance.now() - sentAtMs,
          () => undefined,
        )
      },
    },
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
      clearInterval(announcing)
      examination.stop()
      loop.close()
      await backplane.close()
      await connection.close()
    },
  }
}
