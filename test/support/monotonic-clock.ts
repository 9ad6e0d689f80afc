import { afterEach, beforeEach, vi } from 'vitest'

/** Takes `performance.now` into the test's hands until it is disposed of. */
export const holdMonotonicClock = () => {
  // Whole, so that sums of it are exact.
  let nowMs = Math.ceil(performance.now())
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  return {
    elapse: (ms: number) => void (nowMs += ms),
    [Symbol.dispose]: () => spy.mockRestore(),
  }
}

/** Holds the clock during each test of a file or `describe`, and the timers of `setInterval` where told to. */
export function useMonotonicClock(intervals?: 'with intervals') {
  let clock: ReturnType<typeof holdMonotonicClock>
  beforeEach(() => {
    clock = holdMonotonicClock()
    if (intervals) vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  })
  afterEach(() => {
    vi.useRealTimers()
    clock[Symbol.dispose]()
  })
  return { elapse: (ms: number) => clock.elapse(ms) }
}
