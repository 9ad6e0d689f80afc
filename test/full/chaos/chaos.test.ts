import { expect, test } from 'vitest'
import { FAULTS } from '../../support/chaos/faults.ts'
import { describeFindings, runChaos } from '../../support/chaos/run-chaos.ts'
import { ENDINGS, planChaos } from '../../support/chaos/schedule.ts'
import { describeWithRedis } from '../../support/replicas.ts'

const SECONDS = 90
/** Another one each day; `CHAOS_SEED` repeats a run. */
const SEEDS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'] as const
const DAY_MS = 86_400_000
const seed =
  process.env['CHAOS_SEED'] ?? String(SEEDS[Math.floor(Date.now() / DAY_MS) % SEEDS.length])

test('a seed says all that happens, and the seeds together leave no fault and no ending out', () => {
  const schedules = SEEDS.map((each) => planChaos(each, SECONDS))
  expect(schedules.map(({ seed: each }) => planChaos(each, SECONDS))).toEqual(schedules)
  const faults = schedules.flatMap((schedule) => schedule.faults.map(({ kind }) => kind))
  expect(new Set(faults)).toEqual(new Set(Object.keys(FAULTS)))
  const endings = schedules.flatMap((schedule) => schedule.endings.map(({ ending }) => ending))
  expect(new Set(endings)).toEqual(new Set(ENDINGS))
})

describeWithRedis('chaos', () => {
  test(`nobody is signed out, let in or mistaken, whatever happens (seed ${seed})`, {
    timeout: 10 * SECONDS * 1000,
  }, async () => {
    const report = await runChaos({ seed, seconds: SECONDS, logsTo: process.env['CHAOS_LOGS'] })
    expect(report.findings, describeFindings(report)).toEqual([])
    expect(report.statuses['200']).toBeGreaterThan(1000)
    expect(report.signIns).toBeGreaterThan(report.schedule.endings.length / 2)
    expect(report.renewals).toBeGreaterThan(0)
    expect(report.reloads).toBeGreaterThan(1)
    expect(report.reported).toBeGreaterThan(100)
  })
})
