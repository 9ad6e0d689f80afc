import { setTimeout as pause } from 'node:timers/promises'
import type { Command, CommandKey, Primary, RedisTarget } from './client.ts'
import { createDeadlines } from './deadlines.ts'
import {
  failureOf,
  type RedisFailure,
  ServerLostError,
  TopologyError,
  unavailable,
} from './failure.ts'
import { keepOpen } from './keep-open.ts'
import { createOpener } from './open-target.ts'
import type { SentinelObserver } from './sentinel/sightings.ts'

/** Settings and observers of a connection. */
export interface ConnectOptions extends SentinelObserver {
  /** Asked for every attempt, so that rotated passwords and certificates are read again (fault F18). */
  readonly target: () => RedisTarget
  /** `subscription`: the client is that of one server also in a cluster, where each server passes on what is published. */
  readonly purpose?: 'commands' | 'subscription'
  readonly connectTimeoutMs: number
  /** Commands can be sent, in a cluster to some primary at least; and again when none of them is away any more. */
  readonly onConnected: () => void
  /** Called in a cluster when a single primary is connected anew, whether or not others are away. */
  readonly onServerOpen?: () => void
  /**
   * Called once when a connection is lost or the first attempt fails, in a cluster also when the first of its primaries
   * is lost. `reason` says more, where more is known.
   */
  readonly onDisconnected: (failure: RedisFailure, reason?: string) => void
  /** Called when a later attempt fails for another reason than the one before. */
  readonly onStillAway: (failure: RedisFailure, reason?: string) => void
  /** Called for every attempt and every command that fails. */
  readonly onFailure: (failure: RedisFailure) => void
  /** Called when an answer comes that was given up: Redis works again. */
  readonly onLateAnswer?: () => void
}

/** A connection that comes back by itself. Nothing is queued for later: there is an answer now, or an error. */
export interface RedisConnection {
  /**
   * Runs a command. Throws `AuthError` `store_unavailable` when Redis cannot tell within `timeoutMs`; the command may
   * then still be carried out, late.
   */
  run<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  /**
   * Like `run`, for what may be carried out twice: where the connection has just been lost, the answer is asked for
   * over the next one.
   */
  runRetryable<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  /** Like `run`, at each primary that is connected. */
  runAtEach<T>(command: (primary: Primary) => Promise<T>, timeoutMs: number): Promise<T[]>
  /** Commands can be sent, in a cluster to some primary at least. */
  readonly isConnected: boolean
  /** Some primaries of a cluster can be asked, and others cannot. */
  readonly isPartial: boolean
  /** Connected, or about to be as far as is known. */
  readonly isExpected: boolean
  readonly inFlight: number
  /** Resolves when the first attempt has ended, either way. */
  readonly firstAttempt: Promise<void>
  /** Gives up the present connection for a new one, which may lead to another server. */
  reopen(): void
  close(): Promise<void>
}

/** Age of its oldest command above which a connection counts as dead, whatever its socket says (fault F04). */
const STALLED_AFTER_MS = 2000
/** A name that leads to a replica may lead elsewhere by now; it is not asked more often than this (fault F09). */
const RESOLVE_AGAIN_MS = 5000

/** Connects in the background and tries again until it is closed; the service starts without Redis. */
export function connectRedis(options: ConnectOptions): RedisConnection {
  let knownFailure: RedisFailure | undefined
  let isClosing = false
  const kept = keepOpen({
    open: createOpener({ ...options, onServerLost: fail, onWhole: succeed }),
    onOpen: succeed,
    onOver: fail,
  })
  const deadlines = createDeadlines({
    onSwept: () => kept.current?.dropStalled(STALLED_AFTER_MS),
    onLateAnswer: () => options.onLateAnswer?.(),
  })

  function succeed(): void {
    knownFailure = undefined
    options.onConnected()
  }

  function fail(cause: unknown): void {
    const failure = failureOf(cause)
    const reason = cause instanceof TopologyError ? cause.message : undefined
    options.onFailure(failure)
    if (knownFailure === undefined) options.onDisconnected(failure, reason)
    else if (knownFailure !== failure) options.onStillAway(failure, reason)
    knownFailure = failure
  }

  let resolvedAtMs = Number.NEGATIVE_INFINITY
  /** What a replica refuses to write, the primary might take. */
  function resolveAgain(): void {
    if (performance.now() - resolvedAtMs < RESOLVE_AGAIN_MS) return
    resolvedAtMs = performance.now()
    kept.current?.drop(new Error('a replica'))
  }

  async function send<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T> {
    if (!kept.current) throw new Error('not connected')
    return deadlines.within(kept.current.run(key, command), timeoutMs)
  }

  async function sendToEach<T>(command: (primary: Primary) => Promise<T>, timeoutMs: number) {
    if (!kept.current) throw new Error('not connected')
    const answers = kept.current.primaries.map((primary) =>
      deadlines.within(command(primary), timeoutMs),
    )
    return Promise.all(answers)
  }

  function report(cause: unknown): never {
    const failure = failureOf(cause)
    // What was under way when we ourselves closed says nothing of Redis.
    if (!isClosing) options.onFailure(failure)
    if (failure === 'readonly') resolveAgain()
    throw unavailable(cause)
  }

  return {
    run: (key, command, timeoutMs) => send(key, command, timeoutMs).catch(report),
    async runRetryable(key, command, timeoutMs) {
      const untilMs = performance.now() + timeoutMs
      const leftMs = () => untilMs - performance.now()
      const used = kept.current
      try {
        return await send(key, command, timeoutMs)
      } catch (cause) {
        if (failureOf(cause) === 'readonly') resolveAgain()
        const isComingBack = used
          ? used.isOver || cause instanceof ServerLostError
          : kept.isExpected
        const waitMs = leftMs()
        if (!isComingBack || waitMs <= 0) return report(cause)
        if (!kept.current) {
          await Promise.race([kept.next, pause(waitMs, undefined, { ref: false })])
        }
        if (leftMs() <= 0) return report(cause)
        return send(key, command, leftMs()).catch(report)
      }
    },
    runAtEach: (command, timeoutMs) => sendToEach(command, timeoutMs).catch(report),
    get isConnected() {
      return kept.current !== undefined
    },
    get isPartial() {
      return kept.current?.isWhole === false
    },
    get isExpected() {
      return kept.isExpected
    },
    get inFlight() {
      return deadlines.inFlight
    },
    firstAttempt: kept.firstAttempt,
    reopen: () => kept.current?.drop(new Error('reopened')),
    async close() {
      isClosing = true
      await kept.close()
      deadlines.close()
    },
  }
}
