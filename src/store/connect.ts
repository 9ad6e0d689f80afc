import { setTimeout as pause } from 'node:timers/promises'
import {
  type BinaryClient,
  type ClientConnection,
  openClient,
  type RedisClient,
  type RedisTarget,
} from './client.ts'
import { createDeadlines } from './deadlines.ts'
import { DeadlineError, failureOf, type RedisFailure, unavailable } from './redis-failure.ts'

/** Settings and observers of a connection. */
export interface ConnectOptions {
  /** Asked for every attempt, so that rotated passwords and certificates are read again (fault F18). */
  readonly target: () => RedisTarget
  readonly connectTimeoutMs: number
  readonly onConnected: () => void
  /** Called once when a connection is lost or the first attempt fails. */
  readonly onDisconnected: (failure: RedisFailure) => void
  /** Called when a later attempt fails for another reason than the one before. */
  readonly onStillAway: (failure: RedisFailure) => void
  /** Called for every attempt and every command that fails. */
  readonly onFailure: (failure: RedisFailure) => void
  /** Called when an answer comes that was given up: Redis works again. */
  readonly onLateAnswer?: () => void
}

export type Command<T> = (client: RedisClient, binary: BinaryClient) => Promise<T>

/** A connection that comes back by itself. Nothing is queued for later: there is an answer now, or an error. */
export interface RedisConnection {
  /**
   * Runs a command. Throws `AuthError` `store_unavailable` when Redis cannot tell within `timeoutMs`; the command may
   * then still be carried out, late.
   */
  run<T>(command: Command<T>, timeoutMs: number): Promise<T>
  /**
   * Like `run`, for what may be carried out twice: where the connection has just been lost, the answer is asked for
   * over the next one.
   */
  runTwice<T>(command: Command<T>, timeoutMs: number): Promise<T>
  readonly isConnected: boolean
  /** Connected, or about to be as far as is known. */
  readonly isExpected: boolean
  readonly inFlight: number
  /** Resolves when the first attempt has ended, either way. */
  readonly firstAttempt: Promise<void>
  close(): Promise<void>
}

/** A connection whose oldest command has waited for longer is dead, whatever its socket says (fault F04). */
const STALLED_AFTER_MS = 2000
const RETRY_MIN_MS = 25
const RETRY_MAX_MS = 1000
/** A name that leads to a replica may lead elsewhere by now; it is not asked more often than this (fault F09). */
const RESOLVE_AGAIN_MS = 5000

/** Connects in the background and tries again until it is closed; the service starts without Redis. */
export function connectRedis(options: ConnectOptions): RedisConnection {
  let current: ClientConnection | undefined
  let reconnected = Promise.withResolvers<void>()
  const firstAttempt = Promise.withResolvers<void>()
  const closing = new AbortController()
  const deadlines = createDeadlines({
    stalledAfterMs: STALLED_AFTER_MS,
    onStalled: () => current?.drop(new DeadlineError()),
    onLateAnswer: () => options.onLateAnswer?.(),
  })

  let failures = 0
  let knownFailure: RedisFailure | undefined
  /** At the start and after a loss, until an attempt fails: a moment's patience is worth it. */
  let isExpected = true

  async function keepConnected(): Promise<void> {
    while (!closing.signal.aborted) {
      const cause = await useOneConnection().catch((reason: unknown) => reason)
      firstAttempt.resolve()
      if (!closing.signal.aborted) tell(failureOf(cause))
      await backOff(failures++)
    }
  }

  function tell(failure: RedisFailure): void {
    options.onFailure(failure)
    if (knownFailure === undefined) options.onDisconnected(failure)
    else if (knownFailure !== failure) options.onStillAway(failure)
    knownFailure = failure
  }

  /** From the attempt to its end, which is the rejection. */
  async function useOneConnection(): Promise<never> {
    const opened = openClient(options.target(), options.connectTimeoutMs)
    const abandon = () => opened.drop(new Error('closed'))
    closing.signal.addEventListener('abort', abandon, { once: true })
    try {
      await opened.connected.catch((cause: unknown) => {
        isExpected = false
        throw cause
      })
      isExpected = true
      failures = 0
      knownFailure = undefined
      current = opened
      reconnected.resolve()
      reconnected = Promise.withResolvers()
      options.onConnected()
      firstAttempt.resolve()
      return await opened.lost
    } finally {
      current = undefined
      opened.drop(new Error('over'))
      closing.signal.removeEventListener('abort', abandon)
    }
  }

  function backOff(failures: number): Promise<void> {
    const ms = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failures) * (0.5 + Math.random())
    return pause(ms, undefined, { signal: closing.signal }).catch(() => undefined)
  }

  let resolvedAtMs = Number.NEGATIVE_INFINITY
  /** What a replica refuses to write, the primary might take. */
  function resolveAgain(): void {
    if (performance.now() - resolvedAtMs < RESOLVE_AGAIN_MS) return
    resolvedAtMs = performance.now()
    current?.drop(new Error('a replica'))
  }

  async function send<T>(command: Command<T>, timeoutMs: number): Promise<T> {
    if (!current) throw new Error('not connected')
    const { client, binary } = current
    return deadlines.within(command(client, binary), timeoutMs)
  }

  function report(cause: unknown): never {
    const failure = failureOf(cause)
    options.onFailure(failure)
    if (failure === 'readonly') resolveAgain()
    throw unavailable(cause)
  }

  const kept = keepConnected()

  return {
    run: (command, timeoutMs) => send(command, timeoutMs).catch(report),
    async runTwice(command, timeoutMs) {
      const untilMs = performance.now() + timeoutMs
      const leftMs = () => untilMs - performance.now()
      const used = current
      try {
        return await send(command, timeoutMs)
      } catch (cause) {
        if (failureOf(cause) === 'readonly') resolveAgain()
        const isComingBack = used ? used.isOver : isExpected
        if (!isComingBack) return report(cause)
        if (!current || current === used) {
          await Promise.race([reconnected.promise, pause(leftMs(), undefined, { ref: false })])
        }
        if (leftMs() <= 0) return report(cause)
        return send(command, leftMs()).catch(report)
      }
    },
    get isConnected() {
      return current !== undefined
    },
    get isExpected() {
      return isExpected
    },
    get inFlight() {
      return deadlines.inFlight
    },
    firstAttempt: firstAttempt.promise,
    async close() {
      closing.abort()
      await kept
      deadlines.close()
    },
  }
}
