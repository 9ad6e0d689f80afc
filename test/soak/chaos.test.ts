import { expect, test } from 'vitest'
import { type Footprint, footprintOf, growthOf } from '../support/chaos/footprint.ts'
import { type ChaosReport, describeFindings, runChaos } from '../support/chaos/run-chaos.ts'
import { describeWithRedis } from '../support/describe-with-redis.ts'

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
    const report: ChaosReport = await runChaos({
      seed,
      seconds: SECONDS,
      logsTo: process.env['CHAOS_LOGS'],
      watch: {
        everyMs: (SECONDS * 1000) / SAMPLES,
        look: ({ running }) => samples.push(footprintOf(running.pid)),
      },
    })
    const growth = {
      residentMib: growthOf(samples, 'residentMib'),
      descriptors: growthOf(samples, 'descriptors'),
    }
    const { residentMib = 0, descriptors = 0 } = samples.at(-1) ?? {}
    process.stdout.write(
      `${report.text}\nat the end ${residentMib.toFixed(0)} MiB (${growth.residentMib.toFixed(1)} more than ` +
        `in the second quarter) and ${descriptors} descriptors (${growth.descriptors} more)\n`,
    )
    expect(report.findings, describeFindings(report)).toEqual([])
    expect(samples.length).toBeGreaterThan(SAMPLES / 2)
    expect(growth.residentMib).toBeLessThan(MAX_GROWTH_MIB)
    expect(growth.descriptors).toBeLessThan(MAX_MORE_DESCRIPTORS)
  })
})
