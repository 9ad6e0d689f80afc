import { expect, test } from 'vitest'
import { runChaos } from '../../support/chaos/run-chaos.ts'
import { describeSchedule } from '../../support/chaos/schedule.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'

const SECONDS = 90
/** Each day another one, so that many are tried and each can be told: `CHAOS_SEED` repeats a run. */
const SEEDS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'] as const
const DAY_MS = 86_400_000
const seed =
  process.env['CHAOS_SEED'] ?? String(SEEDS[Math.floor(Date.now() / DAY_MS) % SEEDS.length])

describeWithRedis('chaos', () => {
  test(`nobody is signed out, let in or mistaken, whatever happens (seed ${seed})`, {
    timeout: 4 * SECONDS * 1000,
  }, async () => {
    const report = await runChaos({ seed, seconds: SECONDS, logsTo: process.env['CHAOS_LOGS'] })
    process.stdout.write(`${report.text}\n`)
    const shown = `CHAOS_SEED=${seed}\n${report.findings.join('\n')}\n${describeSchedule(report.schedule)}`
    expect(report.findings, shown).toEqual([])
    expect(report.statuses['200']).toBeGreaterThan(1000)
    expect(report.signIns).toBeGreaterThan(report.schedule.endings.length / 2)
    expect(report.renewals).toBeGreaterThan(0)
  })
})
