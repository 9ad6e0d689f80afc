import { exponentialMs } from '../timing/backoff.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

/** Circuit breaker around calls to Redis. */
export interface Breaker {
  readonly state: BreakerState
  /** Number of failures in a row. */
  readonly failures: number
  /** Returns what `call` resolves to. Throws what `refusal` makes, without a call, while the breaker is open. */
  run<T>(call: () => Promise<T>): Promise<T>
  /**
   * Lets a call through, as `run` does. Returns whether it is a trial, which `succeed` and `fail` need to know; throws the
   * refusal while no trial is due.
   */
  admit(): boolean
  succeed(isTrial: boolean): void
  fail(isTrial: boolean, cause: unknown): void
  /** Brings the next trial forward, because something shows that Redis works again: to now, or after a pause while it flaps. */
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

/** Creates a breaker that opens after `threshold` failures in a row and lets one trial through after `timeoutMs`. */
export function createBreaker(options: BreakerOptions): Breaker {
  let state: State = { kind: 'closed' }
  let failures = 0
  let closedAtMs = Number.NEGATIVE_INFINITY
  let flaps = 0

  function change(next: State): void {
    const hasChanged = state.kind !== next.kind
    state = next
    if (hasChanged) options.onChange(next.kind)
  }

  function open(): void {
    const nowMs = performance.now()
    flaps = nowMs - closedAtMs < FLAPPING_WITHIN_MS ? flaps + 1 : 0
    const pauseMs = flaps === 0 ? 0 : exponentialMs(flaps, FLAPPING_PAUSE)
    const earliestTrialAtMs = nowMs + Math.min(pauseMs, options.timeoutMs)
    change({ kind: 'open', trialAtMs: nowMs + options.timeoutMs, earliestTrialAtMs })
  }

  function countSuccess(): void {
    failures = 0
    if (state.kind !== 'half-open') return
    closedAtMs = performance.now()
    change({ kind: 'closed' })
  }

  function countFailure(): void {
    failures++
    switch (state.kind) {
      case 'half-open':
        change({ ...state.before, trialAtMs: performance.now() + options.timeoutMs })
        break
      case 'closed':
        if (failures >= options.threshold) open()
        break
      case 'open':
        break
    }
  }

  function admit(): boolean {
    switch (state.kind) {
      case 'closed':
        return false
      case 'half-open':
        throw options.refusal()
      case 'open':
        if (performance.now() < state.trialAtMs) throw options.refusal()
        change({ kind: 'half-open', before: state })
        return true
    }
  }

  /** Ignores calls that began before the breaker opened, because they show nothing about the trial. */
  const counts = (isTrial: boolean) => isTrial || state.kind === 'closed'

  function succeed(isTrial: boolean): void {
    if (counts(isTrial)) countSuccess()
  }

  function fail(isTrial: boolean, cause: unknown): void {
    if (!counts(isTrial)) return
    if (options.isFailure(cause)) countFailure()
    else countSuccess()
  }

  return {
    get state() {
      return state.kind
    },
    get failures() {
      return failures
    },
    admit,
    succeed,
    fail,
    async run(call) {
      const isTrial = admit()
      try {
        const answer = await call()
        succeed(isTrial)
        return answer
      } catch (cause) {
        fail(isTrial, cause)
        throw cause
      }
    },
    tryNow() {
      if (state.kind !== 'open') return
      const trialAtMs = Math.min(state.trialAtMs, state.earliestTrialAtMs)
      state = { ...state, trialAtMs }
    },
  }
}

interface OpenState {
  readonly kind: 'open'
  /** Time from which a trial is let through. */
  readonly trialAtMs: number
  /** Earliest time to which `tryNow` can bring the trial forward. */
  readonly earliestTrialAtMs: number
}

type State =
  | { readonly kind: 'closed' }
  | OpenState
  /** `before` is taken up again when the trial fails. */
  | { readonly kind: 'half-open'; readonly before: OpenState }

/** Stands in for a breaker where `REDIS_ENABLE_CIRCUIT_BREAKER` is off: never opens. */
export const NO_BREAKER: Breaker = {
  state: 'closed',
  failures: 0,
  run: (call) => call(),
  admit: () => false,
  succeed: () => undefined,
  fail: () => undefined,
  tryNow: () => undefined,
}
