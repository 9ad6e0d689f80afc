import { DeadlineError } from './failure.ts'

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
/** A sweep this late says that this process was busy: answers may lie unread in the socket, commands unsent. */
const LATE_MS = 100
/** Time to send commands and read answers after a late sweep, before any is given up. */
const CATCH_UP_MS = 100
/** Sweeps skipped before this process gives up all the same, because it is always so busy. */
const MAX_SKIPPED = 10

/** What is noticed beside single answers. */
export interface DeadlineOptions {
  /** Called after each sweep, except where this process was just too busy to read what has arrived. */
  readonly onSwept: () => void
  /** An answer came that nobody waits for any more: whoever gives it works again. */
  readonly onLateAnswer: () => void
}

/** One timer for all commands, since a timer for each costs more than the command. */
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
    if (nowMs - lateAtMs >= CATCH_UP_MS) return judge()
    skipped++
    // The sockets are read once more, and then nothing is waited for any longer.
    if (skipped >= MAX_SKIPPED) afterReading = setImmediate(judge)
  }

  const judge = () => {
    skipped = 0
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
