const STEP_MS = 10
/** Timers are a little late in the best of times. */
const TOLERANCE_MS = 5

/**
 * A bound in the full lane is that of the product and this, and the time for which the test itself was kept waiting does
 * not count: servers share the machine with the test. It tells a deadline that is kept from one that is not, which takes
 * seconds more, and never how fast a machine is.
 */
export const BUSY_MS = 1000

export interface LagWatch {
  /** For how long this process has been kept waiting so far. */
  readonly lagMs: () => number
  /** The same, at the end. */
  readonly end: () => number
}

export const watchOwnLag = (): LagWatch => {
  let lastMs = performance.now()
  let sumMs = 0
  const note = (): void => {
    const lateMs = performance.now() - lastMs - STEP_MS
    if (lateMs > TOLERANCE_MS) sumMs += lateMs
    lastMs = performance.now()
  }
  const timer = setInterval(note, STEP_MS)
  const lagMs = (): number => {
    note()
    return sumMs
  }
  return {
    lagMs,
    end: () => {
      clearInterval(timer)
      return lagMs()
    },
  }
}

export interface Timed<T> {
  readonly value: T
  readonly ms: number
  /** Without the time for which this process was kept waiting; for upper bounds. */
  readonly ownMs: number
}

export const timed = async <T>(work: Promise<T>): Promise<Timed<T>> => {
  const lag = watchOwnLag()
  const sinceMs = performance.now()
  try {
    const value = await work
    const ms = performance.now() - sinceMs
    return { value, ms, ownMs: Math.max(0, ms - lag.lagMs()) }
  } finally {
    lag.end()
  }
}
