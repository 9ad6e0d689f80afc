import { readdirSync, readFileSync } from 'node:fs'

/** Resources that a process uses at some moment. */
export interface Footprint {
  readonly residentMib: number
  readonly descriptors: number
}

/** Linux tells it under `/proc`. */
export function footprintOf(pid: number): Footprint {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return { residentMib: Number(kib) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
}

const QUARTER = 1 / 4

/** How much more it is in the last quarter of all samples than in the second, by their medians. */
export function growthOf(samples: readonly Footprint[], what: keyof Footprint): number {
  const medianFrom = (share: number): number => {
    const from = Math.floor(samples.length * share)
    const part = samples.slice(from, from + Math.ceil(samples.length * QUARTER))
    return part.map((sample) => sample[what]).toSorted((a, b) => a - b)[part.length >> 1] ?? 0
  }
  return medianFrom(1 - QUARTER) - medianFrom(QUARTER)
}
