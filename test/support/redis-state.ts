import { setTimeout as wait } from 'node:timers/promises'
import { openSharedState } from '../../src/compose/state.ts'
import type { Config } from '../../src/config/load.ts'
import type { BreakerState } from '../../src/redis/breaker.ts'
import { connectRedis, type RedisConnection } from '../../src/redis/connection.ts'
import type { Examination } from '../../src/redis/examine/examine.ts'
import type { RedisFailure } from '../../src/redis/failure.ts'
import type { RedisTarget, SingleTarget } from '../../src/redis/target.ts'
import type { BackplaneMessage } from '../../src/replicas/message.ts'
import { openRedisState } from '../../src/store/redis/open.ts'
import { createOpener } from '../../src/store/redis/open-target.ts'
import type { ObservedRedis, SharedState } from '../../src/store/shared-state.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

/** What a connection told those who observe it. */
export interface Told {
  readonly connected: () => number
  readonly disconnected: readonly RedisFailure[]
  /** What more was told, where more is known. */
  readonly reasons: readonly string[]
  readonly stillAway: readonly RedisFailure[]
  readonly failures: readonly RedisFailure[]
}

export interface ObservedConnection extends AsyncDisposable, Told {
  readonly connection: RedisConnection
}

type Target = RedisTarget | (Partial<Omit<SingleTarget, 'kind'>> & { readonly port: number })

const HOST = '127.0.0.1'
const complete = (target: Target): RedisTarget =>
  'kind' in target ? target : { kind: 'single', host: HOST, database: 0, ...target }

const observe = () => {
  const disconnected: RedisFailure[] = []
  const reasons: string[] = []
  const stillAway: RedisFailure[] = []
  const failures: RedisFailure[] = []
  let connected = 0
  return {
    told: { connected: () => connected, disconnected, reasons, stillAway, failures },
    observers: {
      onConnected: () => {
        connected += 1
      },
      onDisconnected: (failure: RedisFailure, reason?: string) => {
        disconnected.push(failure)
        if (reason !== undefined) reasons.push(reason)
      },
      onStillAway: (failure: RedisFailure) => stillAway.push(failure),
      onFailure: (failure: RedisFailure) => failures.push(failure),
    },
  }
}

/** A connection, and what it says of itself. */
export const openConnection = (
  target: Target | (() => Target),
  connectTimeoutMs = 10_000,
  purpose?: 'commands' | 'subscription',
): ObservedConnection => {
  const { told, observers } = observe()
  const connection = connectRedis({
    ...observers,
    open: createOpener({
      ...observers,
      target: () => complete(typeof target === 'function' ? target() : target),
      connectTimeoutMs,
      ...(purpose && { purpose }),
    }),
  })
  return { connection, ...told, [Symbol.asyncDispose]: () => connection.close() }
}

export interface ObservedState extends AsyncDisposable, Told {
  readonly state: SharedState
  readonly redis: ObservedRedis
  readonly examinations: readonly Examination[]
  readonly messages: readonly BackplaneMessage[]
  /** Such as `read open`. */
  readonly breakerChanges: readonly string[]
  readonly backplaneHealth: readonly boolean[]
  readonly datasetChanges: () => number
  readonly unknownMessages: () => number
}

export interface StateOptions {
  readonly prefix?: string
  readonly now?: () => number
  readonly timeoutMs?: number
  readonly breaker?: { readonly threshold?: number; readonly timeoutMs?: number }
  readonly healthIntervalMs?: number
  /** Whether Redis is asked without an occasion; it is unless told otherwise. */
  readonly isHealthChecked?: boolean
  readonly keys?: readonly string[]
  readonly mode?: string
  readonly version?: string
  readonly onMessage?: (message: BackplaneMessage) => void
}

/** The ports over a Redis, as the service opens them. */
export const openState = (target: Target, options: StateOptions = {}): ObservedState => {
  const { prefix = 'vestibule:', now = Date.now, timeoutMs = 3000 } = options
  const { healthIntervalMs = 30_000, isHealthChecked = true } = options
  const { keys = ['key'], mode = 'hybrid', version = '1.0.0' } = options
  const { told, observers } = observe()
  const examinations: Examination[] = []
  const messages: BackplaneMessage[] = []
  const breakerChanges: string[] = []
  const backplaneHealth: boolean[] = []
  let datasetChanges = 0
  let unknownMessages = 0
  const state = openRedisState({
    target: () => complete(target),
    database: 'database' in target ? (target.database ?? 0) : 0,
    prefix,
    connectTimeoutMs: 2000,
    readTimeoutMs: timeoutMs,
    writeTimeoutMs: timeoutMs,
    breaker: { isEnabled: true, threshold: 5, timeoutMs: 60_000, ...options.breaker },
    healthCheck: { isEnabled: isHealthChecked, intervalMs: healthIntervalMs },
    fingerprint: () => ({ keys, mode, version }),
    now,
    observer: {
      ...observers,
      onRead: () => undefined,
      onExamined: (examination) => void examinations.push(examination),
      onBreaker: (name: string, breaker: BreakerState) =>
        void breakerChanges.push(`${name} ${breaker}`),
      onDatasetChanged: () => void datasetChanges++,
      onBackplane: (isHealthy) => void backplaneHealth.push(isHealthy),
      onUnknownMessage: () => void unknownMessages++,
      onApplied: () => undefined,
      onFleet: () => undefined,
    },
  })
  const ignore = () => undefined
  state.subscribe({
    onReattached: ignore,
    onDatasetChanged: ignore,
    onAnotherServer: ignore,
    onUnknownMessage: ignore,
    onMessage(message) {
      messages.push(message)
      options.onMessage?.(message)
    },
  })
  return {
    state,
    redis: state.redis as ObservedRedis,
    examinations,
    messages,
    breakerChanges,
    backplaneHealth,
    datasetChanges: () => datasetChanges,
    unknownMessages: () => unknownMessages,
    ...told,
    [Symbol.asyncDispose]: () => state.close(),
  }
}

/** The state as the service opens it for a configuration. */
export const openConfigured = (config: Config, log: Log): SharedState => {
  return openSharedState({
    config,
    log,
    metrics: createMetrics({ hasRedis: true }),
    now: Date.now,
    fingerprint: () => ({ keys: ['key'], mode: 'redis', version: '1.0.0' }),
  })
}

/** The first attempt may be one that a busy machine has kept waiting for too long. */
export const untilConnected = async (...all: readonly ObservedConnection[]): Promise<void> => {
  await until('connections', () => all.every(({ connection }) => connection.isConnected), 60_000)
}

/** Name written, prolonged and read, one after the other, and a little more. */
const ROUND_TRIPS = 6

/**
 * Waits until a replica that is connected knows which data there are: it has begun to find out when it is connected, and
 * answers over its one connection come in order.
 */
export const untilDataKnown = async (redis: ObservedRedis): Promise<void> => {
  await until('a connection', () => redis.isConnected)
  for (let count = 0; count < ROUND_TRIPS; count += 1) await redis.measureLatency()
}

/** Waits until it is so; throws what it was about when it is not within a time that no machine takes for it. */
export const until = async (
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> => {
  const endMs = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`never came: ${what}`)
    await wait(5)
  }
}
