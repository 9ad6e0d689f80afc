/** Returns whether checks are to be answered 503 at once, because the event loop lags behind (fault F42). */
export type IsOverloaded = (nowMs: number) => boolean

/** Tells whether the event loop lags so much that checks are refused. */
export interface OverloadWatch {
  readonly isOverloaded: IsOverloaded
  readonly close: () => void
}

const TICK_MS = 100
const BEHIND_MS = 1000

/**
 * Watches the event loop and reports overload after two rounds in a row longer than a second, because a single pause
 * has ended by the time it is noticed. `nowMs` is monotonic.
 */
export function watchOverload(): OverloadWatch {
  let roundSinceMs = performance.now()
  let wasBehind = false
  const note = () => {
    const nowMs = performance.now()
    wasBehind = nowMs - roundSinceMs > BEHIND_MS
    roundSinceMs = nowMs
  }
  const timer = setInterval(note, TICK_MS).unref()
  return {
    isOverloaded: (nowMs) => wasBehind && nowMs - roundSinceMs > BEHIND_MS,
    close: () => clearInterval(timer),
  }
}
