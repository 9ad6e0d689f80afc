import { DeadlineError } from './failure.ts'
import { createWaitingList, type Links } from './waiting-list.ts'

/** Time limits on replies; a command that has timed out may still be carried out. */
export interface Deadlines {
  /** Starts a command, which is given up by `giveUp` at `untilMs` (monotonic clock). */
  start(waiting: Waiting): void
  /** Ends the wait of a command whose reply has come. Returns false where it has timed out before. */
  endByReply(waiting: Waiting): boolean
  /** Ends the wait of a command that has failed. Returns false where it has timed out before. */
  endByFailure(waiting: Waiting): boolean
  /** Returns the reply. Throws `DeadlineError` after `timeoutMs`. */
  within<T>(reply: Promise<T>, timeoutMs: number): Promise<T>
  /** Number of commands without a reply, timed out or not. */
  readonly inFlight: number
  close(): void
}

/** Command that has been sent. */
export interface Waiting extends Links<Waiting> {
  readonly untilMs: number
  hasTimedOut: boolean
  giveUp(error: DeadlineError): void
}

const SWEEP_MS = 20
/** Delay of a sweep that shows a busy process, which may have replies unread and commands unsent. */
const LATE_MS = 100
/** Time to send commands and read replies after a late sweep, before any command times out. */
const CATCH_UP_MS = 100
/** Skipped sweeps after which commands time out in a process that is always busy, too. */
const MAX_SKIPPED = 10

/** Callbacks that concern no single command. */
export interface DeadlineOptions {
  /** Called after each sweep that was not skipped. */
  readonly onSwept: () => void
  /** As in `ConnectOptions`. */
  readonly onLateAnswer: () => void
}

/** Checks all commands by one timer every 20 ms, so that a command costs neither a timer nor a promise of its own. */
export function createDeadlines(options: DeadlineOptions): Deadlines {
  const waiting = createWaitingList<Waiting>()
  let sweptAtMs = performance.now()
  let lateAtMs = Number.NEGATIVE_INFINITY
  let skipped = 0
  let afterReading: NodeJS.Immediate | undefined

  const sweep = () => {
    const nowMs = performance.now()
    if (nowMs - sweptAtMs > SWEEP_MS + LATE_MS) lateAtMs = nowMs
    sweptAtMs = nowMs
    if (nowMs - lateAtMs >= CATCH_UP_MS) return timeOut()
    skipped++
    // Lets the event loop read the sockets once more first.
    if (skipped >= MAX_SKIPPED) afterReading = setImmediate(timeOut)
  }

  const timeOut = () => {
    skipped = 0
    const nowMs = performance.now()
    for (const each of waiting.toArray()) {
      if (!each.isListed || each.hasTimedOut || each.untilMs > nowMs) continue
      each.hasTimedOut = true
      each.giveUp(new DeadlineError())
    }
    options.onSwept()
  }
  const timer = setInterval(sweep, SWEEP_MS).unref()

  function end(each: Waiting): boolean {
    waiting.remove(each)
    return !each.hasTimedOut
  }

  function endByReply(each: Waiting): boolean {
    const isInTime = end(each)
    if (!isInTime) options.onLateAnswer()
    return isInTime
  }

  return {
    start: (each) => waiting.add(each),
    endByReply,
    endByFailure: end,
    within: <T>(reply: Promise<T>, timeoutMs: number) =>
      new Promise<T>((resolve, reject) => {
        const each: Waiting = {
          untilMs: performance.now() + timeoutMs,
          giveUp: reject,
          hasTimedOut: false,
          previous: undefined,
          next: undefined,
          isListed: false,
        }
        waiting.add(each)
        reply.then(
          (value) => {
            if (endByReply(each)) resolve(value)
          },
          (cause: unknown) => {
            if (end(each)) reject(cause)
          },
        )
      }),
    get inFlight() {
      return waiting.size
    },
    close() {
      clearInterval(timer)
      clearImmediate(afterReading)
    },
  }
}
