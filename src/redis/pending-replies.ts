import { asPromise, type ReplyHandler } from './reply-handler.ts'
import { createWaitingList, type Links } from './waiting-list.ts'

/** Commands of one connection that await their reply. */
export interface PendingReplies {
  /** Runs `call`; fails with the cause of the connection's end if that comes before the reply. */
  send<T>(call: () => Promise<T>, handler: ReplyHandler<T>): void
  /** Does the same as `send` and returns a promise of the reply. */
  run<T>(call: () => Promise<T>): Promise<T>
  /** Returns for how long the oldest of them has waited since the first measurement that found it, and 0 for none. */
  measureOldestMs(): number
}

interface Waiting extends Links<Waiting> {
  /** Set by the first measurement after the command, because the clock takes 50 ns to read for each. */
  sinceMs: number | undefined
  readonly handler: Pick<ReplyHandler<unknown>, 'onFailure'>
}

/**
 * Rejects all waiting commands when `signal` ends the connection, because node-redis 6.3.1 never settles a SUBSCRIBE or
 * UNSUBSCRIBE that comes after the end of its client (finding C74). `locate` adds the server to each failure.
 */
export function createPendingReplies(
  signal: AbortSignal,
  locate: (cause: unknown) => unknown = (cause) => cause,
): PendingReplies {
  const waiting = createWaitingList<Waiting>()
  let hasEnded = signal.aborted
  const failAll = () => {
    hasEnded = true
    for (const each of waiting.toArray())
      if (waiting.remove(each)) each.handler.onFailure(signal.reason)
  }
  // Shares one abort listener, because one for each command would stay on the signal after the reply.
  signal.addEventListener('abort', failAll, { once: true })

  function send<T>(call: () => Promise<T>, handler: ReplyHandler<T>): void {
    if (hasEnded) return handler.onFailure(signal.reason)
    let reply: Promise<T>
    try {
      reply = call()
    } catch (cause) {
      return handler.onFailure(cause)
    }
    const each: Waiting = {
      sinceMs: undefined,
      handler,
      previous: undefined,
      next: undefined,
      isListed: false,
    }
    waiting.add(each)
    reply.then(
      (value) => {
        if (waiting.remove(each)) handler.onReply(value)
      },
      (cause: unknown) => {
        if (waiting.remove(each)) handler.onFailure(locate(cause))
      },
    )
  }

  return {
    send,
    run: (call) => asPromise((handler) => send(call, handler)),
    measureOldestMs() {
      const nowMs = performance.now()
      let each = waiting.latest
      while (each && each.sinceMs === undefined) {
        each.sinceMs = nowMs
        each = each.previous
      }
      return nowMs - (waiting.oldest?.sinceMs ?? nowMs)
    },
  }
}
