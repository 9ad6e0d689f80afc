import { DeadlineError } from './redis-failure.ts'

/** Gives up on answers that take too long; what has been given up may still happen. */
export interface Deadlines {
  /** The answer, or a `DeadlineError` after `timeoutMs`. */
  within<T>(answer: Promise<T>, timeoutMs: number): Promise<T>
  /** Commands without an answer, given up or not. */
  readonly inFlight: number
  close(): void
}

interface Waiting {
  readonly untilMs: number
  readonly giveUp: (error: DeadlineError) => void
  isGivenUp: boolean
}

const SWEEP_MS = 20
/** A sweep this late says that this process was busy, and that answers may lie unread in the socket. */
const LATE_MS = 100

/** What is noticed beside single answers. */
export interface DeadlineOptions {
  /** Called after each sweep, except where this process was too busy to read what has arrived. */
  readonly onSwept: () => void
  /** An answer came that nobody waits for any more: whoever gives it works again. */
  readonly onLateAnswer: () => void
}

/** One timer for all commands, since a timer for each costs more than the command. */
export function createDeadlines(options: DeadlineOptions): Deadlines {
  const waiting = new Set<Waiting>()
  let sweptAtMs = performance.now()
  let wasLate = false
  let afterReading: NodeJS.Immediate | undefined

  const sweep = () => {
    const nowMs = performance.now()
    const isLate = nowMs - sweptAtMs > SWEEP_MS + LATE_MS
    const isLateAgain = isLate && wasLate
    sweptAtMs = nowMs
    wasLate = isLate
    if (!isLate) judge()
    // Judges a second late sweep after one read of the sockets, because otherwise nothing would time out on a busy
    // machine.
    else if (isLateAgain) afterReading = setImmediate(judge)
  }

  const judge = () => {
    const nowMs = performance.now()
    for (const each of waiting) {
      if (each.isGivenUp || each.untilMs > nowMs) continue
      each.isGivenUp = true
      each.giveUp(new DeadlineError())
    }
    options.onSwept()
  }
  const timer = setInterval(sweep, SWEEP_MS).unref()

  return {
    within: <T>(answer: Promise<T>, timeoutMs: number) =>
      new Promise<T>((resolve, reject) => {
        const untilMs = performance.now() + timeoutMs
        const each = { untilMs, giveUp: reject, isGivenUp: false }
        waiting.add(each)
        const settle = (value: T) => {
          waiting.delete(each)
          if (each.isGivenUp) options.onLateAnswer()
          else resolve(value)
        }
        const fail = (cause: unknown) => {
          waiting.delete(each)
          reject(cause)
        }
        answer.then(settle, fail)
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
