import type { RedisTarget } from './client.ts'
import { connectRedis, type RedisConnection } from './connect.ts'
import { createMemoryOneTimeKeys, createMemorySessionIndex, createMemoryStore } from './memory.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import { createRedisOneTimeKeys, createRedisSessionIndex, createRedisStore } from './redis.ts'
import type { RedisFailure } from './redis-failure.ts'
import { type Examination, examineRedis } from './self-test.ts'
import type { SessionIndex } from './session-index.ts'
import type { Store } from './store.ts'

/** What replicas share, or what one process keeps for itself: the same ports either way. */
export interface SharedState {
  readonly store: Store
  readonly oneTimeKeys: OneTimeKeys
  readonly sessionIndex: SessionIndex
  /** Resolves when the first attempt to connect has ended, either way. */
  readonly firstAttempt: Promise<void>
  readonly isConnected: boolean
  /** Whether there is any use in asking. */
  readonly isAvailable: boolean
  readonly commandsInFlight: number
  /** What the last examination said; nothing until there was one. */
  readonly examination: Examination | undefined
  /** Milliseconds that a read takes just now; nothing when there is no answer. */
  measureLatency(): Promise<number | undefined>
  close(): Promise<void>
}

export interface RedisStateOptions {
  readonly target: () => RedisTarget
  readonly database: number
  readonly prefix: string
  readonly connectTimeoutMs: number
  readonly readTimeoutMs: number
  readonly writeTimeoutMs: number
  /** Wall clock, to compare with that of Redis. */
  readonly now: () => number
  readonly onConnected: () => void
  readonly onDisconnected: (failure: RedisFailure) => void
  readonly onStillAway: (failure: RedisFailure) => void
  readonly onFailure: (failure: RedisFailure) => void
  readonly onExamined: (examination: Examination) => void
}

const PROBE_TIMEOUT_MS = 1000
const EXAMINE_AGAIN_MS = 10_000

/** Sessions and marks of one process, gone with it. */
export function openMemoryState(): SharedState {
  return {
    store: createMemoryStore(),
    oneTimeKeys: createMemoryOneTimeKeys(),
    sessionIndex: createMemorySessionIndex(),
    firstAttempt: Promise.resolve(),
    isConnected: false,
    isAvailable: true,
    commandsInFlight: 0,
    examination: undefined,
    measureLatency: async () => undefined,
    close: async () => undefined,
  }
}

/** Sessions and marks in Redis. Returns at once, whether Redis is there or not. */
export function openRedisState(options: RedisStateOptions): SharedState {
  const { prefix, onConnected, onExamined } = options
  const channel = `${prefix}${options.database}:events`
  let examination: Examination | undefined
  let timer: NodeJS.Timeout | undefined

  const connection: RedisConnection = connectRedis({
    ...options,
    onConnected() {
      onConnected()
      examine()
    },
  })

  /** Again and again as long as there is something to find: what is wrong may pass, as loading does. */
  function examine(): void {
    clearTimeout(timer)
    connection
      .run(
        (client) => examineRedis(client, { prefix, channel }, options.now),
        options.readTimeoutMs,
      )
      .then((made) => {
        examination = made
        onExamined(made)
        if (made.findings.length > 0) timer = setTimeout(examine, EXAMINE_AGAIN_MS).unref()
      })
      // A connection that is lost again is examined when it is back.
      .catch(() => undefined)
  }

  const shared = { ...options, connection, channel }

  return {
    store: createRedisStore(shared),
    oneTimeKeys: createRedisOneTimeKeys(shared),
    sessionIndex: createRedisSessionIndex(shared),
    firstAttempt: connection.firstAttempt,
    get isConnected() {
      return connection.isConnected
    },
    get isAvailable() {
      return connection.isExpected
    },
    get commandsInFlight() {
      return connection.inFlight
    },
    get examination() {
      return examination
    },
    async measureLatency() {
      const sentAtMs = performance.now()
      const read = connection.run((client) => client.get(`${prefix}{health}`), PROBE_TIMEOUT_MS)
      return read.then(
        () => performance.now() - sentAtMs,
        () => undefined,
      )
    },
    close() {
      clearTimeout(timer)
      return connection.close()
    },
  }
}
