import { openSharedState } from '../../src/compose/state.ts'
import type { Config } from '../../src/config/config.ts'
import type { BreakerState } from '../../src/redis/breaker.ts'
import { connectRedis, type RedisConnection } from '../../src/redis/connection.ts'
import type { FailureReport } from '../../src/redis/describe-failure.ts'
import type { Examination } from '../../src/redis/examine/examine.ts'
import type { RedisFailure } from '../../src/redis/failure.ts'
import type { RedisTarget, SingleTarget } from '../../src/redis/target.ts'
import type { BackplaneMessage } from '../../src/replicas/message.ts'
import { openRedisState } from '../../src/store/redis/open.ts'
import { createOpener } from '../../src/store/redis/open-target.ts'
import type { ObservedRedis, SharedState } from '../../src/store/shared-state.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { until } from './own-lag.ts'

export { until }

type Told = ReturnType<typeof observe>['told']

export interface ObservedConnection extends AsyncDisposable, Told {
  readonly connection: RedisConnection
}

type Target = RedisTarget | (Partial<Omit<SingleTarget, 'kind'>> & { readonly port: number })

function complete(target: Target): RedisTarget {
  return 'kind' in target ? target : { kind: 'single', host: '127.0.0.1', database: 0, ...target }
}

function observe() {
  const disconnected: RedisFailure[] = []
  const reasons: string[] = []
  const stillAway: RedisFailure[] = []
  const failures: RedisFailure[] = []
  let connected = 0
  return {
    told: { connected: () => connected, disconnected, reasons, stillAway, failures },
    observers: {
      onConnected: () => void (connected += 1),
      onDisconnected: ({ failure, reason }: FailureReport) => {
        disconnected.push(failure)
        reasons.push(reason)
      },
      onStillAway: ({ failure }: FailureReport) => stillAway.push(failure),
      onFailure: (failure: RedisFailure) => failures.push(failure),
    },
  }
}

export function openConnection(
  target: Target | (() => Target),
  connectTimeoutMs = 10_000,
  purpose?: 'commands' | 'subscription',
): ObservedConnection {
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

export async function openConnected(
  target: Target | (() => Target),
  connectTimeoutMs?: number,
): Promise<ObservedConnection> {
  const opened = openConnection(target, connectTimeoutMs)
  await untilConnected(opened)
  return opened
}

export async function tryConnection(
  ...args: Parameters<typeof openConnection>
): Promise<ObservedConnection> {
  const opened = openConnection(...args)
  await opened.connection.firstAttempt
  return opened
}

export async function echo({ connection }: ObservedConnection, value: string, timeoutMs = 1000) {
  return connection.run(undefined, (client) => client.echo(value), timeoutMs)
}

/** Matches the error that a port throws for this failure. */
export function unavailable(failure: RedisFailure) {
  return { code: 'store_unavailable', message: `Redis: ${failure}` }
}

export const RECORDS = {
  identity: Buffer.of(1),
  tokens: Buffer.of(2),
  metadata: Buffer.of(3),
} as const

export type ObservedState = ReturnType<typeof openState>

export interface StateOptions {
  readonly prefix?: string
  readonly now?: () => number
  readonly timeoutMs?: number
  readonly breaker?: { readonly threshold?: number; readonly timeoutMs?: number }
  readonly healthIntervalMs?: number
  /** Whether the health loop runs; true by default. */
  readonly isHealthChecked?: boolean
  readonly keys?: readonly string[]
  readonly onMessage?: (message: BackplaneMessage) => void
}

/** Opens the ports over a Redis as the service does, and records their callbacks. */
export function openState(target: Target, options: StateOptions = {}) {
  const { prefix = 'vestibule:', now = Date.now, timeoutMs = 3000 } = options
  const { healthIntervalMs = 30_000, isHealthChecked = true } = options
  const { keys = ['key'] } = options
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
    fingerprint: () => ({ keys, mode: 'hybrid', version: '1.0.0' }),
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
      onBackplaneAway: () => undefined,
      onOtherInstallation: () => undefined,
    },
  })
  const ignore = () => undefined
  state.subscribe({
    onReattached: ignore,
    onDatasetChanged: ignore,
    onAnotherServer: ignore,
    onSubscribed: ignore,
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

export async function openExamined(target: Target, options?: StateOptions): Promise<ObservedState> {
  const observed = openState(target, options)
  await until('an examination', () => observed.examinations.length > 0)
  return observed
}

/** Opens the state as the service does for a configuration. */
export function openConfigured(config: Config, log: Log): SharedState {
  return openSharedState({
    config,
    log,
    metrics: createMetrics({ hasRedis: true }),
    now: Date.now,
    fingerprint: () => ({ keys: ['key'], mode: 'redis', version: '1.0.0' }),
  })
}

/** Waits for more than the first attempt, which a busy machine may have delayed for too long. */
export async function untilConnected(...all: readonly ObservedConnection[]): Promise<void> {
  await until('connections', () => all.every(({ connection }) => connection.isConnected), 60_000)
}

/** Round trips that write, extend and read the name of the data, and some more. */
const ROUND_TRIPS = 6

/** Waits until a replica knows the name of the data, which it asks for first over its one connection. */
export async function untilDataKnown(redis: ObservedRedis): Promise<void> {
  await until('a connection', () => redis.isConnected)
  for (let count = 0; count < ROUND_TRIPS; count += 1) await redis.measureLatency()
}
