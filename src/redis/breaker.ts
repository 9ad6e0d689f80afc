export type BreakerState = 'closed' | 'open' | 'half-open'

/** Keeps a Redis that fails from being asked again and again. */
export interface Breaker {
  readonly state: BreakerState
  /** In a row, up to now. */
  readonly failures: number
  /** The answer; while the breaker is open, what `refusal` makes, at once. */
  run<T>(ask: () => Promise<T>): Promise<T>
  /** There are signs that asking works again, so the next may try. */
  tryNow(): void
}

export interface BreakerOptions {
  /** Failures in a row after which the circuit breaker opens. */
  readonly threshold: number
  /** Monotonic milliseconds after which one try is let through in any case. */
  readonly timeoutMs: number
  /** Whether a rejection says that Redis cannot be used; any other answer says that it can. */
  readonly isFailure: (cause: unknown) => boolean
  readonly refusal: () => Error
  readonly onChange: (state: BreakerState) => void
}

/** One that opens again soon after it closed waits longer each time, so that a flapping Redis does not make it flap. */
const FLAPPING_WITHIN_MS = 10_000
const FLAPPING_PAUSE_MS = 500
const FLAPPING_MAX_PAUSE_MS = 5000

export function createBreaker(options: BreakerOptions): Breaker {
  let state: BreakerState = 'closed'
  let failures = 0
  let closedAtMs = Number.NEGATIVE_INFINITY
  let openings = 0
  /** While open: when a try is let through anyway, and the earliest at which signs of life count. */
  let tryAtMs = 0
  let notBeforeMs = 0

  function change(next: BreakerState): void {
    if (state === next) return
    state = next
    options.onChange(next)
  }

  function open(): void {
    const nowMs = performance.now()
    openings = nowMs - closedAtMs < FLAPPING_WITHIN_MS ? openings + 1 : 0
    const pauseMs = openings === 0 ? 0 : FLAPPING_PAUSE_MS * 2 ** openings
    notBeforeMs = nowMs + Math.min(pauseMs, FLAPPING_MAX_PAUSE_MS, options.timeoutMs)
    tryAtMs = nowMs + options.timeoutMs
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
      tryAtMs = performance.now() + options.timeoutMs
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
    async run(ask) {
      const isTry = state !== 'closed'
      if (isTry) {
        if (state === 'half-open' || performance.now() < tryAtMs) throw options.refusal()
        change('half-open')
      }
      try {
        const answer = await ask()
        // What was asked before it opened says nothing about the try.
        if (isTry || state === 'closed') succeed()
        return answer
      } catch (cause) {
        if (isTry || state === 'closed') {
          if (options.isFailure(cause)) fail()
          else succeed()
        }
        throw cause
      }
    },
    tryNow() {
      if (state === 'open') tryAtMs = Math.min(tryAtMs, notBeforeMs)
    },
  }
}

/** For those who switched it off: asks every time. */
export const NO_BREAKER: Breaker = {
  state: 'closed',
  failures: 0,
  run: (ask) => ask(),
  tryNow: () => undefined,
}
