import { DeadlineError } from './failure.ts'

/** Time limits on replies; a command that has timed out may still be carried out. */
export interface Deadlines {
  /** Returns the reply. Throws `DeadlineError` after `timeoutMs`. */
  within<T>(reply: Promise<T>, timeoutMs: number): Promise<T>
  /** Number of commands without a reply, timed out or not. */
  readonly inFlight: number
  close(): void
}

interface Waiting {
  readonly untilMs: number
  readonly reject: (error: DeadlineError) => void
  hasTimedOut: boolean
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

/** Checks all commands by one timer every 20 ms, so that a command costs no timer of its own. */
export function createDeadlines(options: DeadlineOptions): Deadlines {
  const waiting = new Set<Waiting>()
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
    for (const each of waiting) {
      if (each.hasTimedOut || each.untilMs > nowMs) continue
      each.hasTimedOut = true
      each.reject(new DeadlineError())
    }
    options.onSwept()
  }
  const timer = setInterval(sweep, SWEEP_MS).unref()

  return {
    within: <T>(reply: Promise<T>, timeoutMs: number) =>
      new Promise<T>((resolve, reject) => {
        const untilMs = performance.now() + timeoutMs
        const each = { untilMs, reject, hasTimedOut: false }
        waiting.add(each)
        const settle = (value: T) => {
          waiting.delete(each)
          if (each.hasTimedOut) options.onLateAnswer()
          else resolve(value)
        }
        const fail = (cause: unknown) => {
          waiting.delete(each)
          reject(cause)
        }
        reply.then(settle, fail)
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
