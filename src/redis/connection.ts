import type { ClientConnection, Command, CommandKey, OpenConnection, Primary } from './client.ts'
import { createDeadlines } from './deadlines.ts'
import { describeFailure, type FailureReport } from './describe-failure.ts'
import { type RedisFailure, TopologyError } from './failure.ts'
import { keepOpen } from './keep-open.ts'
import { asPromise, type ReplyHandler } from './reply-handler.ts'
import { type Call, createCommandSender } from './send-commands.ts'
import { serverFailureIn } from './server-failure.ts'
import { createAttemptExplainer } from './tls-mismatch.ts'

export interface ConnectOptions {
  readonly open: OpenConnection
  /** Called when commands can be sent (in a cluster, to some primary at least) and when all primaries are back. */
  readonly onConnected: () => void
  /** Called when a single primary of a cluster is connected anew, whether or not others are disconnected. */
  readonly onPrimaryConnected?: () => void
  /**
   * Called once when the connection is lost or the first attempt fails; in a cluster, when the first primary is lost.
   */
  readonly onDisconnected: (report: FailureReport) => void
  /** Called when a later attempt fails for another reason than the one before. */
  readonly onStillAway: (report: FailureReport) => void
  /** Called for each attempt and each command that fails. */
  readonly onFailure: (failure: RedisFailure) => void
  /** Called when the reply to a command that has timed out arrives: Redis works again. */
  readonly onLateAnswer?: () => void
}

/** Connection that reconnects by itself. Queues nothing while it is disconnected: commands fail at once. */
export interface RedisConnection {
  /**
   * Runs a command. Throws `AuthError` `store_unavailable` when there is no usable reply within `timeoutMs`; Redis may
   * then still carry the command out later.
   */
  run<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  /** Runs an idempotent command, and once more over the next connection when this one is lost under way. */
  sendRetryable<T>(call: Call<T>): void
  /** Does the same as `sendRetryable` and returns a promise of the reply. */
  runRetryable<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  /** Runs a command at each connected primary; throws as `run` does. */
  runAtEach<T>(command: (primary: Primary) => Promise<T>, timeoutMs: number): Promise<T[]>
  /** True when commands can be sent; in a cluster, to some primary at least. */
  readonly isConnected: boolean
  /** True when some primaries of a cluster are connected and others are not. */
  readonly isPartial: boolean
  /** True while connected, and during an attempt that follows a connection or is the first. */
  readonly isExpected: boolean
  readonly inFlight: number
  /** Cause of the end of the latest connection or attempt; `undefined` while connected, in a cluster to all primaries. */
  readonly loss: FailureReport | undefined
  /** Resolves when the first attempt has succeeded or failed. */
  readonly firstAttempt: Promise<void>
  /** Drops the present connection for a new one, which may lead to another server. */
  reopen(): void
  close(): Promise<void>
}

/** Age of the oldest command above which a connection counts as dead, even if its socket is open (fault F04). */
const STALLED_AFTER_MS = 2000
/** Minimum time between reconnects because of READONLY, after which the host name may lead to the primary (fault F09). */
const RESOLVE_AGAIN_MS = 5000

/** Connects in the background and reconnects until closed, so that the service starts without Redis. */
export function connectRedis(options: ConnectOptions): RedisConnection {
  let known: string | undefined
  let latestLoss: unknown
  let isClosing = false
  const explain = createAttemptExplainer()
  const primaries = {
    onPrimaryLost: reportLoss,
    onPrimaryConnected: () => options.onPrimaryConnected?.(),
    onAllConnected: reportConnected,
  }
  const kept = keepOpen({
    open: (signal) =>
      options.open(signal, primaries).catch(async (cause: unknown) => {
        throw await explain(cause, signal)
      }),
    onOpen: reportConnected,
    onEnded: reportLoss,
  })
  const deadlines = createDeadlines({
    onSwept: () => kept.current?.dropStalled(STALLED_AFTER_MS),
    onLateAnswer: () => options.onLateAnswer?.(),
  })

  function reportConnected(): void {
    known = undefined
    options.onConnected()
  }

  function reportLoss(cause: unknown): void {
    latestLoss = cause
    const report = describeFailure(cause)
    const kind = kindOf(report)
    options.onFailure(report.failure)
    if (known === undefined) options.onDisconnected(report)
    else if (known !== kind) options.onStillAway(report)
    known = kind
  }

  let resolvedAtMs = Number.NEGATIVE_INFINITY
  /** Reconnects after READONLY, because the host name may lead to the primary by now. */
  function resolveAgain(): void {
    if (performance.now() - resolvedAtMs < RESOLVE_AGAIN_MS) return
    resolvedAtMs = performance.now()
    if (kept.current) kept.current.drop(replicaFailure(kept.current))
  }

  const sender = createCommandSender({
    kept,
    deadlines,
    latestLoss: () => latestLoss,
    onFailure(failure) {
      // Leaves out commands that our own close() ended, because they show nothing about Redis.
      if (!isClosing) options.onFailure(failure)
    },
    onReadonly: resolveAgain,
  })

  return {
    run: (key, command, timeoutMs) =>
      asPromise((handler) => sender.send(callOf(key, command, timeoutMs, handler))),
    sendRetryable: (call) => sender.sendRetryable(call),
    runRetryable: (key, command, timeoutMs) =>
      asPromise((handler) => sender.sendRetryable(callOf(key, command, timeoutMs, handler))),
    runAtEach: (command, timeoutMs) => sender.runAtEach(command, timeoutMs),
    get isConnected() {
      return kept.current !== undefined
    },
    get isPartial() {
      return kept.current?.isComplete === false
    },
    get isExpected() {
      return kept.isExpected
    },
    get loss() {
      const isWhole = kept.current?.isComplete === true
      return isWhole || latestLoss === undefined ? undefined : describeFailure(latestLoss)
    },
    get inFlight() {
      return deadlines.inFlight
    },
    firstAttempt: kept.firstAttempt,
    reopen: () => kept.current?.drop(new TopologyError('connection', 'it was silent for too long')),
    async close() {
      isClosing = true
      await kept.close()
      deadlines.close()
    },
  }
}

function callOf<T>(
  key: CommandKey,
  command: Command<T>,
  timeoutMs: number,
  handler: ReplyHandler<T>,
): Call<T> {
  return { ...handler, key, command, untilMs: performance.now() + timeoutMs }
}

function replicaFailure({ locate }: ClientConnection): TopologyError {
  const located = locate(new Error('a replica'))
  const isConfigured = serverFailureIn(located)?.server.namedBy === 'REDIS_ADDRESS'
  const remedy = isConfigured ? 'name the primary in REDIS_ADDRESS' : 'looking for the primary'
  const reason = `the server is a replica, which refuses writes: ${remedy}`
  return new TopologyError('readonly', reason, located)
}

/** Codes that a server gives one after the other while it stops, which is one reason for the log. */
const STOPPED_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE'])

function kindOf({ failure, cause }: FailureReport): string {
  const isStopped = cause === undefined || STOPPED_CODES.has(cause)
  return isStopped ? failure : `${failure} ${cause}`
}
