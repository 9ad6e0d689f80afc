import { redisServer } from '../load/redis-server.ts'
import { inTurns, type Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Row, Table } from '../report/table.ts'
import { type AskedProcess, startAsked } from '../start-asked.ts'
import type { StoreKind } from '../stores/store.ts'
import type { StoreRound } from '../stores/store-process.ts'

const RAW = 'raw node-redis'
const KINDS: readonly StoreKind[] = [RAW, 'memory', 'redis', 'hybrid']
const SESSIONS = 1000
const CPU_SHARE = 'raw / ours, CPU'
const RATE_SHARE = 'ours / raw, reads/s'

/** Measures sessions within the process: the table of the traefikoidc plugin, each mode beside raw node-redis. */
export async function measureReads(plan: Plan): Promise<Table> {
  const all = new Map<string, StoreRound[]>(KINDS.map((kind) => [kind, []]))
  for (let lap = 0; lap < plan.laps; lap++) {
    plan.say(`sessions in the process, processes ${lap + 1} of ${plan.laps}`)
    for (const [kind, rounds] of await runLap(plan)) all.get(kind)?.push(...rounds)
  }
  return {
    id: 'reads',
    title: 'Sessions within the process',
    columns: [
      'read p50 ms',
      'read p99 ms',
      'write p50 ms',
      'reads/s',
      'CPU µs a read',
      CPU_SHARE,
      RATE_SHARE,
    ],
    rows: [...all].map(([kind, rounds]) => row(kind, rounds, all.get(RAW) ?? [])),
    notes: [
      `p50 and p99 one after the other, reads/s with 64 in flight over ${SESSIONS} sessions; ${plan.laps} × fresh processes, ${plan.rounds} rounds of ${plan.seconds} s each, in turns`,
    ],
  }
}

function row(kind: string, rounds: readonly StoreRound[], raw: readonly StoreRound[]): Row {
  const of = (figure: keyof StoreRound) => rounds.map((round) => round[figure])
  const cpu = ratios(
    raw.map(({ cpuMicros }) => cpuMicros),
    of('cpuMicros'),
  )
  const time = ratios(
    of('readsPerSecond'),
    raw.map(({ readsPerSecond }) => readsPerSecond),
  )
  return {
    name: kind,
    cells: {
      'read p50 ms': spreadOf(of('readP50Ms')),
      'read p99 ms': spreadOf(of('readP99Ms')),
      'write p50 ms': spreadOf(of('writeP50Ms')),
      'reads/s': spreadOf(of('readsPerSecond')),
      'CPU µs a read': spreadOf(of('cpuMicros')),
      ...(kind !== RAW && { [CPU_SHARE]: cpu, [RATE_SHARE]: time }),
    },
    ...(kind === 'redis' && { aims: [{ column: CPU_SHARE, atLeast: 0.6 }] }),
  }
}

async function runLap({ rounds, seconds }: Plan): Promise<ReadonlyMap<string, StoreRound[]>> {
  await using redis = await redisServer()
  using stack = new DisposableStack()
  const contestants: { readonly name: string; readonly store: AskedProcess }[] = []
  for (const name of KINDS) {
    const args = [name, redis.url, String(SESSIONS)]
    const store = stack.use(await startAsked('bench/stores/store-process.ts', args))
    contestants.push({ name, store })
  }
  return await inTurns(
    contestants,
    rounds,
    async ({ store }) => (await store.ask(seconds)) as StoreRound,
  )
}
