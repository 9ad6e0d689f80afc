import { createClient } from 'redis'
import { redisServer } from '../load/redis-server.ts'
import type { Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Row, Table } from '../report/table.ts'
import { startAsked } from '../start-asked.ts'
import type { SizedRound } from '../stores/sized-process.ts'

const MANY = 1_000_000
/** Keys that a session has in Redis. */
const KEYS_PER_SESSION = 3
const RATIO = '1 M / 1 k, CPU'

/** Measures hot reads beside a million sessions and beside a thousand, in memory and in Redis. */
export async function measureSizes(plan: Plan): Promise<Table> {
  plan.say('a million sessions')
  await using few = await redisServer()
  await using many = await redisServer()
  await fill(many.url)
  const rows = [
    await measured('hybrid', plan, few.url, many.url),
    await measured('redis', plan, few.url, many.url),
  ]
  return {
    id: 'sizes',
    title: 'A million sessions beside a thousand',
    columns: ['CPU µs, 1 k', 'CPU µs, 1 M', RATIO, 'resident bytes a session'],
    rows,
    notes: [
      `a hundred hot sessions read in turns in one process, ${plan.laps * plan.rounds} rounds of ${plan.seconds} s; in redis mode the million are keys that Redis holds beside`,
    ],
  }
}

async function measured(
  mode: 'hybrid' | 'redis',
  plan: Plan,
  fewUrl: string,
  manyUrl: string,
): Promise<Row> {
  const args = [mode, fewUrl, manyUrl, String(MANY)]
  const script = 'bench/stores/sized-process.ts'
  using sized = await startAsked(script, args, ['--max-old-space-size=16000'])
  const rounds: SizedRound[] = []
  await sized.ask(plan.warmUpSeconds)
  for (let round = 0; round < plan.laps * plan.rounds; round++) {
    rounds.push((await sized.ask(plan.seconds)) as SizedRound)
  }
  const fewMicros = rounds.map((round) => round.fewMicros)
  const manyMicros = rounds.map((round) => round.manyMicros)
  return {
    name: mode === 'hybrid' ? 'hybrid mode, from L1' : 'redis mode',
    cells: {
      'CPU µs, 1 k': spreadOf(fewMicros),
      'CPU µs, 1 M': spreadOf(manyMicros),
      [RATIO]: ratios(manyMicros, fewMicros),
      ...(mode === 'hybrid' && {
        'resident bytes a session': spreadOf([rounds[0]?.bytesPerSession ?? Number.NaN]),
      }),
    },
    aims: [{ column: RATIO, atMost: 1.05 }],
  }
}

/** Fills Redis with as many keys as a million sessions have. */
async function fill(url: string): Promise<void> {
  const client = createClient({ url })
  await client.connect()
  await client.sendCommand(['DEBUG', 'POPULATE', String(MANY * KEYS_PER_SESSION), 'other', '350'])
  client.destroy()
}
