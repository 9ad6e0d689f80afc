import { exponentialMs } from '../timing/backoff.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

/** Circuit breaker around calls to Redis. */
export interface Breaker {
  readonly state: BreakerState
  /** Number of failures in a row. */
  readonly failures: number
  /** Returns what `call` resolves to. Throws what `refusal` makes, without a call, while the breaker is open. */
  run<T>(call: () => Promise<T>): Promise<T>
  /** Lets the next call through as the trial, because something shows that Redis works again. */
  tryNow(): void
}

export interface BreakerOptions {
  /** Failures in a row that open the breaker. */
  readonly threshold: number
  /** Monotonic milliseconds after which an open breaker lets one trial through. */
  readonly timeoutMs: number
  /** Returns whether a rejection counts as a failure; any other outcome counts as a success. */
  readonly isFailure: (cause: unknown) => boolean
  readonly refusal: () => Error
  readonly onChange: (state: BreakerState) => void
}

/** Time after closing within which another opening counts as flapping. */
const FLAPPING_WITHIN_MS = 10_000
/** Back-off of `tryNow` while it flaps, so that a flapping Redis does not make the breaker flap, too. */
const FLAPPING_PAUSE = { minMs: 500, maxMs: 5000 }

export function createBreaker(options: BreakerOptions): Breaker {
  let state: BreakerState = 'closed'
  let failures = 0
  let closedAtMs = Number.NEGATIVE_INFINITY
  let flaps = 0
  /** Time from which an open breaker lets a trial through. */
  let trialAtMs = 0
  /** Earliest time to which `tryNow` can bring the trial forward. */
  let earliestTrialAtMs = 0

  function change(next: BreakerState): void {
    if (state === next) return
    state = next
    options.onChange(next)
  }

  function open(): void {
    const nowMs = performance.now()
    flaps = nowMs - closedAtMs < FLAPPING_WITHIN_MS ? flaps + 1 : 0
    const pauseMs = flaps === 0 ? 0 : exponentialMs(flaps, FLAPPING_PAUSE)
    earliestTrialAtMs = nowMs + Math.min(pauseMs, options.timeoutMs)
    trialAtMs = nowMs + options.timeoutMs
    change('open')
  }

  function succeed(): void {
    failures = 0
    if (state !== 'half-open') return
    closedAtMs = performance.now()
    change('closed')
  }

  function fail(): void {
    failures++
    if (state === 'half-open') {
      trialAtMs = performance.now() + options.timeoutMs
      change('open')
    } else if (state === 'closed' && failures >= options.threshold) open()
  }

  return {
    get state() {
      return state
    },
    get failures() {
      return failures
    },
    async run(call) {
      const isTrial = state !== 'closed'
      if (isTrial) {
        if (state === 'half-open' || performance.now() < trialAtMs) throw options.refusal()
        change('half-open')
      }
      try {
        const answer = await call()
        // Ignores calls that began before the breaker opened, because they show nothing about the trial.
        if (isTrial || state === 'closed') succeed()
        return answer
      } catch (cause) {
        if (isTrial || state === 'closed') {
          if (options.isFailure(cause)) fail()
          else succeed()
        }
        throw cause
      }
    },
    tryNow() {
      if (state === 'open') trialAtMs = Math.min(trialAtMs, earliestTrialAtMs)
    },
  }
}

/** Stands in for a breaker where `REDIS_ENABLE_CIRCUIT_BREAKER` is off: never opens. */
export const NO_BREAKER: Breaker = {
  state: 'closed',
  failures: 0,
  run: (call) => call(),
  tryNow: () => undefined,
}
