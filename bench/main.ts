import { startProvider } from '../stand-ins/provider/provider.ts'
import { writeRules } from '../test/support/rules-file.ts'
import { testClient } from '../test/support/vestibule.ts'
import { startVestibuleProcess } from '../test/support/vestibule-process.ts'
import {
  bareServer,
  bearerCheck,
  outageCookie,
  redisServer,
  sessionKeys,
  signedInCheck,
} from './contestants.ts'
import { tokenIssuer } from './issuer.ts'
import { load, median, type Round, residentMib } from './load.ts'
import { printChecks, printStores } from './print.ts'
import { largeRatio, redisBenchmark, storeTable } from './store-table.ts'

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4)
const MEMORY_CHECKS = 100_000
const AUDIENCE = 'https://api.example.com'

await using provider = await startProvider({ clients: [testClient] })
await using issuer = await tokenIssuer(AUDIENCE)
await using redis = await redisServer()
await using rules = await writeRules([
  {
    paths: ['/api/**'],
    access: 'signed-in',
    bearer: { issuers: [issuer.issuer], audiences: [AUDIENCE], tokenType: 'at+jwt' },
  },
])
const settings = { OIDC_ISSUER_URL: provider.issuer, VESTIBULE_CONFIG: rules.path }
const startedAtMs = performance.now()
await using memory = await startVestibuleProcess(settings)
const ready = await memory.internal('/readyz')
const coldStartMs = performance.now() - startedAtMs
const shared = {
  ...settings,
  SESSION_ENCRYPTION_KEY: redis.sessionKey,
  REDIS_ENABLED: 'true',
  REDIS_URL: redis.url,
}
await using redisMode = await startVestibuleProcess(shared)
const inRedis = await signedInCheck(redisMode)
const sizes = await sessionKeys(redis)
await using hybridMode = await startVestibuleProcess({ ...shared, REDIS_CACHE_MODE: 'hybrid' })

const inMemory = await signedInCheck(memory)
const outage = await outageCookie(redisMode, inRedis.headers)
/** As a browser sends them, also where that cookie means nothing, so that all carry the same weight. */
const withOutage = (headers: Readonly<Record<string, string>>) => ({
  ...headers,
  Cookie: `${headers['Cookie']}; ${outage}`,
})
const sent = withOutage(inRedis.headers)
await using bare = await bareServer(inMemory.answered)
await using bareWithGet = await bareServer(inMemory.answered, redis.url, sizes.identityKey)

const contestants = [
  { name: 'bare Hono, same headers', port: bare.port, headers: sent },
  { name: 'bare Hono, one raw GET', port: bareWithGet.port, headers: sent },
  {
    name: 'session, memory mode',
    port: memory.internalPort,
    headers: withOutage(inMemory.headers),
  },
  { name: 'session, redis mode', port: redisMode.internalPort, headers: sent },
  { name: 'session, hybrid mode', port: hybridMode.internalPort, headers: sent },
  { name: 'JWT bearer, hot', ...(await bearerCheck(memory, issuer.token)) },
]
const rounds = new Map<string, Round[]>(contestants.map(({ name }) => [name, []]))
for (let round = 0; round <= ROUNDS; round++) {
  for (const { name, port, headers } of contestants) {
    const result = await load(port, headers, round === 0 ? 2 : SECONDS)
    // Skips the first round, which warms the servers up.
    if (round > 0) rounds.get(name)?.push(result)
  }
}
const medians = new Map([...rounds].map(([name, of]) => [name, median(of)]))
const perSecond = (name: string) => medians.get(name)?.requestsPerSecond ?? Number.NaN
const seconds = Math.max(1, MEMORY_CHECKS / perSecond('session, memory mode'))
await load(memory.internalPort, inMemory.headers, seconds)

printChecks(medians)
printStores(await storeTable(redis.url))
const tool = await redisBenchmark(redis.url)
const large =
  process.env['BENCH_LARGE'] === '1'
    ? (await largeRatio(redis.url, 'hybrid')).toFixed(2)
    : 'not measured: set BENCH_LARGE=1'
const failures = [...medians.values()].reduce((sum, { failures }) => sum + failures, 0)
process.stdout.write(`
redis-benchmark, 64 connections: GET ${tool.get('GET')?.toFixed(0)}/s, SET ${tool.get('SET')?.toFixed(0)}/s
aims, to bare: hybrid and memory mode 0.85, redis mode 0.50, JWT bearer 0.80
aims in the process: hybrid reads p50 0.02 ms and 500,000/s, redis reads 0.7 of raw, writes p50 1.3 of raw
redis mode beside bare Hono with one raw GET: ${(perSecond('session, redis mode') / perSecond('bare Hono, one raw GET')).toFixed(2)}
a hot read beside 1,000,000 sessions to one beside 1,000 (aim 1.1): ${large}
a session in Redis: ${sizes.sessionBytes} bytes of memory without its tokens (aim 1024), ${sizes.tokenBytes} for the tokens
cold start to a ready /readyz (${ready.status}): ${coldStartMs.toFixed(0)} ms (aim under 1000)
resident memory after ${MEMORY_CHECKS.toLocaleString('en')} checks and more: ${(await residentMib(memory.internalPort)).toFixed(0)} MiB
failed requests: ${failures}
`)
process.exitCode = failures > 0 ? 1 : 0
