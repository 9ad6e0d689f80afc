import { vi } from 'vitest'

/** The clock of intervals, which stands still unless it is told to go on. */
export interface MonotonicClock extends Disposable {
  readonly elapse: (ms: number) => void
}

/** Takes `performance.now` into the test's hands until it is disposed of. */
export const holdMonotonicClock = (): MonotonicClock => {
  // Whole, so that sums of it are exact.
  let nowMs = Math.ceil(performance.now())
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  return {
    elapse: (ms) => {
      nowMs += ms
    },
    [Symbol.dispose]: () => spy.mockRestore(),
  }
}
