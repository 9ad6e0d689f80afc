import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { describeFindings, runChaos } from '../support/chaos/run-chaos.ts'
import { describeWithRedis } from '../support/replicas.ts'

type Footprint = ReturnType<typeof footprintOf>

/** Linux tells it under `/proc`. */
function footprintOf(pid: number) {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return { residentMib: Number(kib) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
}

const QUARTER = 1 / 4

/** How much more it is in the last quarter of all samples than in the second, by their medians. */
function growthOf(samples: readonly Footprint[], what: keyof Footprint): number {
  const medianFrom = (share: number): number => {
    const from = Math.floor(samples.length * share)
    const part = samples.slice(from, from + Math.ceil(samples.length * QUARTER))
    return part.map((sample) => sample[what]).toSorted((a, b) => a - b)[part.length >> 1] ?? 0
  }
  return medianFrom(1 - QUARTER) - medianFrom(QUARTER)
}

/** Duration, an hour by default; the number of samples does not depend on it. */
const SECONDS = Number(process.env['CHAOS_SECONDS'] ?? 3600)
const SAMPLES = 60
const seed = process.env['CHAOS_SEED'] ?? 'soak'
/** Fluctuation of a heap between collections. */
const MAX_GROWTH_MIB = 24
/** Connections of people who ask at the same time. */
const MAX_MORE_DESCRIPTORS = 32

describeWithRedis('chaos for long', () => {
  test(`nobody is signed out, let in or mistaken, and nothing grows (seed ${seed})`, {
    timeout: (SECONDS + 600) * 1000,
  }, async () => {
    const samples: Footprint[] = []
    const report = await runChaos({
      seed,
      seconds: SECONDS,
      logsTo: process.env['CHAOS_LOGS'],
      watch: {
        everyMs: (SECONDS * 1000) / SAMPLES,
        look: ({ running }) => samples.push(footprintOf(running.pid)),
      },
    })
    expect(report.findings, describeFindings(report)).toEqual([])
    expect(samples.length).toBeGreaterThan(SAMPLES / 2)
    expect(growthOf(samples, 'residentMib')).toBeLessThan(MAX_GROWTH_MIB)
    expect(growthOf(samples, 'descriptors')).toBeLessThan(MAX_MORE_DESCRIPTORS)
  })
})
