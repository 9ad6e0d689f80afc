import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { makeSessions } from '../../support/made-sessions.ts'
import { readMetric } from '../../support/outage.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import {
  COLLECTING,
  manifestLimits,
  residentBytes,
  settledMemory,
  visitAll,
} from '../../support/resident.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

/** `C61_SESSIONS=200000` is the full measure. */
const SESSIONS = Number(process.env['C61_SESSIONS'] ?? 20_000)
const PORTION = 5000
const MIB = 1024 * 1024
const MAX_RESIDENT_BYTES = 192 * MIB
const timeout = 600_000 + SESSIONS * 20

const { settings } = manifestLimits()
const IDENTITIES = [
  ['small identities', 0],
  ['1 KB of groups each', 1000],
] as const
const CASES = ['redis', 'hybrid'].flatMap((mode) =>
  IDENTITIES.map(([name, groupBytes]) => [mode, name, groupBytes] as const),
)

describeWithRedis('C61 memory within the limits of the manifest', () => {
  test.for(CASES)(
    '%s mode stays below 192 MiB, visited by people with %s',
    {
      timeout,
    },
    async ([mode, name, groupBytes]) => {
      await using replicas = await startReplicas({
        settings: { ...settings, REDIS_CACHE_MODE: mode },
      })
      const { first, redis } = replicas
      for (let visited = 0; visited < SESSIONS; visited += PORTION) {
        const people = await makeSessions(redis, PORTION, groupBytes)
        expect(await visitAll(first.internalPort, people)).toBe(0)
        await redis.cli('FLUSHDB')
      }
      const peakMib = residentBytes(first.pid).peak / MIB
      process.stdout.write(`${mode} mode, ${name}: ${Math.round(peakMib)} MiB resident\n`)
      expect(peakMib).toBeLessThan(MAX_RESIDENT_BYTES / MIB)
    },
  )
})

test.for(IDENTITIES)(
  'memory mode stays below 192 MiB, filled by people with %s',
  {
    timeout,
  },
  async ([name, groupBytes]) => {
    const script = ['test/support/memory-mode.ts', String(SESSIONS), String(groupBytes)]
    const { stdout } = await promisify(execFile)(process.execPath, script, {
      env: { ...process.env, ...settings },
    })
    const { signedIn, residentBytes: bytes = Number.NaN } = JSON.parse(stdout) as Record<
      string,
      number
    >
    process.stdout.write(
      `memory mode, ${name}: ${Math.round(bytes / MIB)} MiB resident, ${signedIn} signed in\n`,
    )
    expect(signedIn).toBeGreaterThan(1000)
    expect(bytes / MIB).toBeLessThan(MAX_RESIDENT_BYTES / MIB)
  },
)

const COLLECT = { NODE_OPTIONS: `${COLLECTING} --max-semi-space-size=1` }

describeWithRedis('C61 the bytes of L1', () => {
  test.for([
    ['small identities', 0, 60_000],
    ['1 KB of groups each', 1000, 10_000],
  ] as const)(
    'are within 1.3 of what the process takes for people with %s',
    {
      timeout,
    },
    async ([, groupBytes, count]) => {
      const hybrid = { ...COLLECT, REDIS_CACHE_MODE: 'hybrid', REDIS_HYBRID_L1_SIZE: '100000' }
      await using replicas = await startReplicas({
        settings: { ...hybrid, REDIS_HYBRID_L1_MEMORY_MB: '1000' },
      })
      const { first, redis } = replicas
      const warmUp = await makeSessions(redis, 2000, groupBytes)
      await visitAll(first.internalPort, warmUp)
      await visitAll(first.internalPort, warmUp)
      const before = await measure(first)
      for (let made = 0; made < count; made += PORTION)
        await visitAll(first.internalPort, await makeSessions(redis, PORTION, groupBytes))
      const after = await measure(first)
      const ratio = (after.resident - before.resident) / (after.counted - before.counted)
      expect(ratio).toBeGreaterThan(1 / 1.3)
      expect(ratio).toBeLessThan(1.3)
    },
  )
})

async function measure(vestibule: VestibuleProcess) {
  const { resident } = await settledMemory(vestibule)
  return { resident, counted: await readMetric(vestibule, 'vestibule_l1_bytes') }
}
