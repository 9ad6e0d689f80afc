import { startProvider } from '../../stand-ins/provider/provider.ts'
import { writeRules } from '../../test/support/rules-file.ts'
import { testClient } from '../../test/support/vestibule.ts'
import { startVestibuleProcess } from '../../test/support/vestibule-process.ts'
import { tokenIssuer } from '../load/issuer.ts'
import { type Round, totalCpuMicros } from '../load/load.ts'
import { residentMib } from '../load/processor-time.ts'
import { redisServer, sessionKeys } from '../load/redis-server.ts'
import { bareServer, bearerCheck, type SteadyCheck, signedInCheck } from '../load/signed-in.ts'
import { inTurns, type Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Row, Table } from '../report/table.ts'

const AUDIENCE = 'https://api.example.com'
const CONNECTIONS = 32
/** Assertions of this grace are renewed after three minutes, which no lap takes. */
const GRACE_SECONDS = 900

/** Contestants with the bare server that has the same answer, and the aim for the ratio to it. */
const PAIRS: Readonly<Record<string, { readonly bare: string; readonly aim?: number }>> = {
  'session, memory mode': { bare: 'bare Hono, session headers', aim: 0.85 },
  'session, hybrid mode': { bare: 'bare Hono, session headers', aim: 0.8 },
  'session, redis mode': { bare: 'bare Hono, session headers', aim: 0.7 },
  'bare Hono, one raw GET': { bare: 'bare Hono, session headers' },
  'JWT bearer, hot': { bare: 'bare Hono, JWT headers', aim: 0.85 },
}
const BARE_SHARE = 'bare / ours, CPU'

interface LapResult {
  readonly rounds: ReadonlyMap<string, Round[]>
  readonly residentMib: ReadonlyMap<string, number>
  readonly sessionBytes: number
  readonly tokenBytes: number
}

/** Measures checks over HTTP, each mode beside a bare Hono server that sends the same answer. */
export async function measureChecks(plan: Plan): Promise<readonly Table[]> {
  const laps: LapResult[] = []
  for (let lap = 0; lap < plan.laps; lap++) {
    plan.say(`checks, processes ${lap + 1} of ${plan.laps}`)
    laps.push(await runLap(plan))
  }
  const names = [...(laps[0]?.rounds.keys() ?? [])]
  const all = (name: string) => laps.flatMap(({ rounds }) => rounds.get(name) ?? [])
  const failures = names.flatMap(all).reduce((sum, round) => sum + round.failures, 0)
  const checks = {
    id: 'checks',
    title: 'Checks over HTTP',
    columns: ['CPU µs', BARE_SHARE, 'checks/s', 'p50 ms', 'p99 ms', 'resident MiB'],
    rows: names.map((name) => row(name, all, laps)),
    notes: [
      `${CONNECTIONS} connections; ${plan.laps} × fresh processes, ${plan.rounds} rounds of ${plan.seconds} s each, in turns; failed requests: ${failures}`,
    ],
  }
  return [checks, bytesTable(laps)]
}

function bytesTable(laps: readonly LapResult[]): Table {
  const session = spreadOf(laps.map(({ sessionBytes }) => sessionBytes))
  const tokens = spreadOf(laps.map(({ tokenBytes }) => tokenBytes))
  return {
    id: 'bytes',
    title: 'A session in Redis',
    columns: ['bytes'],
    rows: [
      {
        name: 'session with its share of the indexes',
        cells: { bytes: session },
        aims: [{ column: 'bytes', atMost: 1024 }],
      },
      { name: 'its tokens', cells: { bytes: tokens } },
    ],
    notes: ["by Redis's own count (`MEMORY USAGE`)"],
  }
}

function row(
  name: string,
  all: (name: string) => readonly Round[],
  laps: readonly LapResult[],
): Row {
  const rounds = all(name)
  const cpu = rounds.map(totalCpuMicros)
  const pair = PAIRS[name]
  return {
    name,
    cells: {
      'CPU µs': spreadOf(cpu),
      ...(pair && { [BARE_SHARE]: ratios(all(pair.bare).map(totalCpuMicros), cpu) }),
      'checks/s': spreadOf(rounds.map(({ perSecond }) => perSecond)),
      'p50 ms': spreadOf(rounds.map(({ p50Ms }) => p50Ms)),
      'p99 ms': spreadOf(rounds.map(({ p99Ms }) => p99Ms)),
      'resident MiB': spreadOf(laps.map(({ residentMib }) => residentMib.get(name) ?? Number.NaN)),
    },
    ...(pair?.aim !== undefined && { aims: [{ column: BARE_SHARE, atLeast: pair.aim }] }),
  }
}

async function runLap({ rounds, seconds, warmUpSeconds, generator }: Plan): Promise<LapResult> {
  await using provider = await startProvider({ clients: [testClient] })
  await using issuer = await tokenIssuer(AUDIENCE)
  await using redis = await redisServer()
  const bearer = { issuers: [issuer.issuer], audiences: [AUDIENCE], tokenType: 'at+jwt' as const }
  await using rules = await writeRules([{ paths: ['/api/**'], access: 'signed-in', bearer }])
  const settings = { OIDC_ISSUER_URL: provider.issuer, VESTIBULE_CONFIG: rules.path }
  const shared = {
    ...settings,
    SESSION_ENCRYPTION_KEY: redis.sessionKey,
    SESSION_OUTAGE_GRACE: String(GRACE_SECONDS),
    REDIS_ENABLED: 'true',
    REDIS_URL: redis.url,
  }
  await using redisMode = await startVestibuleProcess(shared)
  const inRedis = await signedInCheck(redisMode)
  const keys = await sessionKeys(redis.url)
  await using hybrid = await startVestibuleProcess({ ...shared, REDIS_CACHE_MODE: 'hybrid' })
  await using memory = await startVestibuleProcess(settings)
  const inMemory = await signedInCheck(memory, inRedis.outage)
  const token = await bearerCheck(memory, issuer.token)
  await using bare = await bareServer(inRedis.answered)
  await using bareGet = await bareServer(inRedis.answered, redis.url, keys.identityKey)
  await using bareToken = await bareServer(token.answered)

  const contestants: readonly Contestant[] = [
    { name: 'bare Hono, session headers', server: bare, check: inRedis },
    { name: 'session, memory mode', server: memory, check: inMemory },
    { name: 'session, hybrid mode', server: hybrid, check: inRedis },
    { name: 'bare Hono, one raw GET', server: bareGet, check: inRedis },
    { name: 'session, redis mode', server: redisMode, check: inRedis },
    { name: 'bare Hono, JWT headers', server: bareToken, check: token },
    { name: 'JWT bearer, hot', server: memory, check: token },
  ]
  const measure = async ({ server, check }: Contestant, forSeconds = seconds) => {
    const url = `http://127.0.0.1:${server.internalPort}/auth`
    const load = { url, headers: await check.headers(), connections: CONNECTIONS }
    return generator.run({ ...load, seconds: forSeconds }, [server.pid])
  }
  for (const contestant of contestants) await measure(contestant, warmUpSeconds)
  const results = await inTurns(contestants, rounds, (contestant) => measure(contestant))
  return {
    rounds: results,
    residentMib: new Map(contestants.map(({ name, server }) => [name, residentMib(server.pid)])),
    sessionBytes: keys.sessionBytes,
    tokenBytes: keys.tokenBytes,
  }
}

interface Contestant {
  readonly name: string
  readonly server: { readonly internalPort: number; readonly pid: number }
  readonly check: SteadyCheck
}
