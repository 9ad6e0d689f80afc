import { setTimeout as wait } from 'node:timers/promises'

const STEP_MS = 10
/** Timers are a little late in the best of times. */
const TOLERANCE_MS = 5

/**
 * A bound in the full lane is that of the product and this, and the time for which the test itself was kept waiting does
 * not count: servers share the machine with the test. It tells a deadline that is kept from one that is not, which takes
 * seconds more, and never how fast a machine is.
 */
export const BUSY_MS = 1000

export const watchOwnLag = () => {
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
    /** For how long this process has been kept waiting so far. */
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

/** Polls a condition every 5 ms. Throws its name when it is not met within a time that no machine takes for it. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const endMs = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`never came: ${what}`)
    await wait(5)
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
