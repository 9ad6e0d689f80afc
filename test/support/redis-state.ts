import { setTimeout as wait } from 'node:timers/promises'
import type { RedisTarget } from '../../src/store/client.ts'
import { connectRedis, type RedisConnection } from '../../src/store/connect.ts'
import { openRedisState, type SharedState } from '../../src/store/open.ts'
import type { RedisFailure } from '../../src/store/redis-failure.ts'
import type { Examination } from '../../src/store/self-test.ts'

/** What a connection told those who observe it. */
export interface Told {
  readonly connected: () => number
  readonly disconnected: readonly RedisFailure[]
  readonly stillAway: readonly RedisFailure[]
  readonly failures: readonly RedisFailure[]
}

export interface ObservedConnection extends AsyncDisposable, Told {
  readonly connection: RedisConnection
}

type Target = Partial<RedisTarget> & { readonly port: number }

const HOST = '127.0.0.1'
const complete = (target: Target): RedisTarget => ({ host: HOST, database: 0, ...target })

const observe = () => {
  const disconnected: RedisFailure[] = []
  const stillAway: RedisFailure[] = []
  const failures: RedisFailure[] = []
  let connected = 0
  return {
    told: { connected: () => connected, disconnected, stillAway, failures },
    observers: {
      onConnected: () => {
        connected += 1
      },
      onDisconnected: (failure: RedisFailure) => disconnected.push(failure),
      onStillAway: (failure: RedisFailure) => stillAway.push(failure),
      onFailure: (failure: RedisFailure) => failures.push(failure),
    },
  }
}

/** A connection, and what it says of itself. */
export const openConnection = (
  target: Target | (() => Target),
  connectTimeoutMs = 2000,
): ObservedConnection => {
  const { told, observers } = observe()
  const connection = connectRedis({
    target: () => complete(typeof target === 'function' ? target() : target),
    connectTimeoutMs,
    ...observers,
  })
  return { connection, ...told, [Symbol.asyncDispose]: () => connection.close() }
}

export interface ObservedState extends AsyncDisposable, Told {
  readonly state: SharedState
  readonly examinations: readonly Examination[]
}

export interface StateOptions {
  readonly prefix?: string
  readonly now?: () => number
  readonly timeoutMs?: number
}

/** The ports over a Redis, as the service opens them. */
export const openState = (target: Target, options: StateOptions = {}): ObservedState => {
  const { prefix = 'vestibule:', now = Date.now, timeoutMs = 3000 } = options
  const { told, observers } = observe()
  const examinations: Examination[] = []
  const state = openRedisState({
    target: () => complete(target),
    database: target.database ?? 0,
    prefix,
    connectTimeoutMs: 2000,
    readTimeoutMs: timeoutMs,
    writeTimeoutMs: timeoutMs,
    now,
    ...observers,
    onExamined: (examination) => examinations.push(examination),
  })
  return { state, examinations, ...told, [Symbol.asyncDispose]: () => state.close() }
}

/** Waits until it is so; throws what it was about when it never is. */
export const until = async (
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs = 5000,
): Promise<void> => {
  const endMs = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`never came: ${what}`)
    await wait(5)
  }
}
