import { quantile } from '../report/spread.ts'

/** Reads per second with many in flight, with the processor time of this process for each. */
export interface Throughput {
  readonly perSecond: number
  readonly cpuMicros: number
}

const IN_FLIGHT = 64
const BATCH = 100

/**
 * Reads with 64 in flight; what is answered at once is not awaited. A read that finds nothing ends the run, and is looked
 * at here, because a promise around each read would count against the store.
 */
export async function throughput(read: () => unknown, seconds: number): Promise<Throughput> {
  const startedAtMs = performance.now()
  const cpuBefore = process.cpuUsage()
  const endMs = startedAtMs + seconds * 1000
  let count = 0
  const work = async (): Promise<void> => {
    while (performance.now() < endMs) {
      for (let each = 0; each < BATCH; each++) {
        const outcome = read()
        const found: unknown = outcome instanceof Promise ? await outcome : outcome
        if (found === undefined || found === null) throw new Error('a session was not found')
        count++
      }
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, work))
  const { user, system } = process.cpuUsage(cpuBefore)
  const tookSeconds = (performance.now() - startedAtMs) / 1000
  return { perSecond: count / tookSeconds, cpuMicros: (user + system) / count }
}

/** Returns median and 99th percentile of acts one after the other, in milliseconds. */
export async function latencies(act: () => unknown, count: number) {
  const taken: number[] = []
  for (let each = 0; each < count; each++) {
    const sinceMs = performance.now()
    const outcome = act()
    if (outcome instanceof Promise) await outcome
    taken.push(performance.now() - sinceMs)
  }
  const sorted = taken.toSorted((a, b) => a - b)
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) }
}
