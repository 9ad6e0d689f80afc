import type { AuthError } from '../errors.ts'
import { waitAtMost } from '../timing/time-limit.ts'
import type { ClientConnection, Command, CommandKey, Primary } from './client.ts'
import type { Deadlines, Waiting } from './deadlines.ts'
import { DeadlineError, failureOf, type RedisFailure, ServerLostError } from './failure.ts'
import type { KeptConnection } from './keep-open.ts'
import type { ReplyHandler } from './reply-handler.ts'
import { NotConnectedError } from './server-failure.ts'
import { unavailable } from './unavailable.ts'

/** Command to send, its deadline on the monotonic clock, and who learns of its outcome. */
export interface Call<T> extends ReplyHandler<T> {
  readonly key: CommandKey
  readonly command: Command<T>
  readonly untilMs: number
}

/** Sends commands over the present connection. Each fails with `AuthError` `store_unavailable`. */
export interface CommandSender {
  send<T>(call: Call<T>): void
  /** Sends an idempotent command, and once more over the next connection when this one is lost under way. */
  sendRetryable<T>(call: Call<T>): void
  /** Runs a command at each connected primary. */
  runAtEach<T>(command: (primary: Primary) => Promise<T>, timeoutMs: number): Promise<T[]>
}

/** Command under way over a connection: its place in the list of deadlines, and what learns of its reply. */
interface SentCommand<T> extends Waiting, ReplyHandler<T> {
  readonly call: Call<T>
  readonly used: ClientConnection | undefined
  readonly isRetryable: boolean
  giveUp(cause: unknown): void
}

export interface CommandSenderOptions {
  readonly kept: KeptConnection
  readonly deadlines: Deadlines
  /** Returns why the latest connection or attempt ended. */
  readonly latestLoss: () => unknown
  /** Called for each command that fails. */
  readonly onFailure: (failure: RedisFailure) => void
  /** Called when a server refuses a write because it is a replica. */
  readonly onReadonly: () => void
}

/** Creates a sender; a command is one record in the list of deadlines, and costs no promise of its own. */
export function createCommandSender(options: CommandSenderOptions): CommandSender {
  const { kept, deadlines, latestLoss, onReadonly } = options

  function sendOver<T>(
    used: ClientConnection | undefined,
    call: Call<T>,
    isRetryable: boolean,
  ): void {
    const sent: SentCommand<T> = {
      call,
      used,
      isRetryable,
      untilMs: call.untilMs,
      hasTimedOut: false,
      previous: undefined,
      next: undefined,
      isListed: false,
      onReply,
      onFailure,
      giveUp,
    }
    if (!used) return sent.giveUp(new NotConnectedError(latestLoss()))
    deadlines.start(sent)
    used.send(call.key, call.command, sent)
  }

  function onReply<T>(this: SentCommand<T>, reply: T): void {
    if (deadlines.endByReply(this)) this.call.onReply(reply)
  }

  function onFailure<T>(this: SentCommand<T>, cause: unknown): void {
    if (deadlines.endByFailure(this)) this.giveUp(cause)
  }

  function giveUp<T>(this: SentCommand<T>, cause: unknown): void {
    if (this.isRetryable) void repeat(this.call, this.used, cause)
    else this.call.onFailure(failed(cause))
  }

  function send<T>(call: Call<T>): void {
    sendOver(kept.current, call, false)
  }

  async function repeat<T>(
    call: Call<T>,
    used: ClientConnection | undefined,
    cause: unknown,
  ): Promise<void> {
    if (failureOf(cause) === 'readonly') onReadonly()
    if (await isToBeRepeated(call, used, cause)) send(call)
    else call.onFailure(failed(cause))
  }

  /** Returns whether to send a command again; waits for the next connection where the one that carried it was lost. */
  async function isToBeRepeated<T>(
    { untilMs }: Call<T>,
    used: ClientConnection | undefined,
    cause: unknown,
  ): Promise<boolean> {
    const isReconnecting = used
      ? used.hasEnded || cause instanceof ServerLostError
      : kept.isExpected
    const waitMs = untilMs - performance.now()
    if (!isReconnecting || waitMs <= 0) return false
    if (!kept.current) await waitAtMost(kept.next, waitMs)
    return performance.now() < untilMs
  }

  function failed(cause: unknown): AuthError {
    const failure = failureOf(cause)
    options.onFailure(failure)
    if (failure === 'readonly') onReadonly()
    const { current } = kept
    return unavailable(cause instanceof DeadlineError && current ? current.locate(cause) : cause)
  }

  async function sendToEach<T>(command: (primary: Primary) => Promise<T>, timeoutMs: number) {
    if (!kept.current) throw new NotConnectedError(latestLoss())
    const replies = kept.current.primaries.map((primary) =>
      deadlines.within(command(primary), timeoutMs),
    )
    return Promise.all(replies)
  }

  return {
    send,
    sendRetryable(call) {
      sendOver(kept.current, call, true)
    },
    runAtEach: (command, timeoutMs) =>
      sendToEach(command, timeoutMs).catch((cause: unknown) => {
        throw failed(cause)
      }),
  }
}
