import { execFileSync } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort, startProcess } from '../../stand-ins/process.ts'
import { startProvider } from '../../stand-ins/provider/provider.ts'
import { defaultSettings, testClient } from '../../test/support/vestibule.ts'
import { processorMicros } from '../load/processor-time.ts'
import { redisServer } from '../load/redis-server.ts'
import { inTurns, type Plan } from '../plan.ts'
import { spreadOf } from '../report/spread.ts'
import type { Table } from '../report/table.ts'

const WITHIN_MS = 60_000

interface Started {
  readonly ms: number
  readonly cpuMs: number
}

/** Measures the time from the start of the built program, as the image has it, to a ready `/readyz`. */
export async function measureStart(plan: Plan): Promise<Table> {
  plan.say('start: building first')
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: ['ignore', 'ignore', 'inherit'] })
  await using provider = await startProvider({ clients: [testClient] })
  await using redis = await redisServer()
  const settings = { ...defaultSettings, OIDC_ISSUER_URL: provider.issuer }
  const shared = {
    ...settings,
    SESSION_ENCRYPTION_KEY: redis.sessionKey,
    REDIS_ENABLED: 'true',
    REDIS_URL: redis.url,
    REDIS_CACHE_MODE: 'hybrid',
  }
  const contestants = [
    { name: 'Node alone', start: startNode },
    { name: 'memory mode', start: () => startUntilReady(settings) },
    { name: 'hybrid mode', start: () => startUntilReady(shared) },
  ]
  const starts = plan.laps * plan.rounds
  const results = await inTurns(contestants, starts, ({ start }) => start())
  return {
    id: 'start',
    title: 'From start to ready',
    columns: ['ms', 'CPU ms'],
    rows: [...results].map(([name, rounds]) => ({
      name,
      cells: {
        ms: spreadOf(rounds.map(({ ms }) => ms)),
        'CPU ms': spreadOf(rounds.map(({ cpuMs }) => cpuMs)),
      },
      ...(name !== 'Node alone' && { aims: [{ column: 'ms', atMost: 500 }] }),
    })),
    notes: [`${starts} fresh processes each, in turns; the aim is for an idle core`],
  }
}

async function startNode(): Promise<Started> {
  const startedAtMs = performance.now()
  const script = 'process.stdout.write(JSON.stringify(process.cpuUsage()))'
  const running = startProcess(process.execPath, ['-e', script])
  await running.exited
  const ms = performance.now() - startedAtMs
  const { user, system } = JSON.parse(running.output()) as NodeJS.CpuUsage
  return { ms, cpuMs: (user + system) / 1000 }
}

async function startUntilReady(settings: Readonly<Record<string, string>>): Promise<Started> {
  const port = await freePort()
  const env = {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'production',
    ...settings,
    INTERNAL_PORT: String(port),
  }
  const startedAtMs = performance.now()
  const running = startProcess(process.execPath, ['dist/src/main.js', 'serve'], { env })
  try {
    while (performance.now() - startedAtMs < WITHIN_MS) {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
      if (answer?.ok) {
        const cpuMs = processorMicros([running.child.pid ?? 0]) / 1000
        return { ms: performance.now() - startedAtMs, cpuMs }
      }
      await wait(5)
    }
    throw new Error(`not ready:\n${running.output()}`)
  } finally {
    await running.stop('SIGKILL')
  }
}
