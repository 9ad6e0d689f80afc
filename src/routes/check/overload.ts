/** Whether the process is so far behind that answering quickly helps more than answering well (fault F42). */
export type IsOverloaded = (nowMs: number) => boolean

export interface OverloadWatch {
  readonly isOverloaded: IsOverloaded
  readonly close: () => void
}

const TICK_MS = 100
const BEHIND_MS = 1000

/**
 * Behind, when a round of the event loop has been going on for more than a second, and so was the one before: a single
 * pause is over when it is noticed. `nowMs` is monotonic.
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
