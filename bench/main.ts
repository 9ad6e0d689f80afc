import { startProvider } from '../demo/provider.ts'
import { writeRules } from '../test/support/rules-file.ts'
import { startVestibule, testClient } from '../test/support/vestibule.ts'
import { bareServer, bearerCheck, redisServer, sessionKeys, signedInCheck } from './contestants.ts'
import { tokenIssuer } from './issuer.ts'
import { load, median, type Round, residentMib } from './load.ts'

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
await using memory = await startVestibule(settings)
const ready = await memory.internal('/readyz')
const coldStartMs = performance.now() - startedAtMs
await using shared = await startVestibule({
  ...settings,
  SESSION_ENCRYPTION_KEY: redis.sessionKey,
  REDIS_ENABLED: 'true',
  REDIS_URL: redis.url,
})

const inMemory = await signedInCheck(memory)
const inRedis = await signedInCheck(shared)
const sizes = await sessionKeys(redis)
await using bare = await bareServer(inMemory.answered)
await using bareWithGet = await bareServer(inMemory.answered, redis.url, sizes.identityKey)

const contestants = [
  { name: 'bare Hono, same headers', port: bare.port, headers: inMemory.headers },
  { name: 'bare Hono, one raw GET', port: bareWithGet.port, headers: inMemory.headers },
  { name: 'session, memory mode', ...inMemory },
  { name: 'session, redis mode', ...inRedis },
  { name: 'JWT bearer, hot', ...(await bearerCheck(memory, issuer.token)) },
]
const rounds = new Map<string, Round[]>(contestants.map(({ name }) => [name, []]))
for (let round = 0; round <= ROUNDS; round++) {
  for (const { name, port, headers } of contestants) {
    const result = await load(port, headers, round === 0 ? 2 : SECONDS)
    // The first round warms them up.
    if (round > 0) rounds.get(name)?.push(result)
  }
}
const medians = new Map([...rounds].map(([name, of]) => [name, median(of)]))
const bareMedian = medians.get('bare Hono, same headers') as Round
const getMedian = medians.get('bare Hono, one raw GET') as Round
const memoryMedian = medians.get('session, memory mode') as Round
const redisMedian = medians.get('session, redis mode') as Round
const seconds = Math.max(1, MEMORY_CHECKS / memoryMedian.requestsPerSecond)
await load(memory.internalPort, inMemory.headers, seconds)

const columns = (...cells: readonly string[]) =>
  process.stdout.write(
    `${cells.map((cell, index) => cell.padStart(index === 0 ? -26 : 10)).join(' ')}\n`,
  )
process.stdout.write('\n')
columns('median of rounds'.padEnd(26), 'checks/s', 'p50 ms', 'p99 ms', 'CPU µs', 'to bare')
for (const [name, { requestsPerSecond, p50Ms, p99Ms, cpuMicrosPerRequest }] of medians) {
  columns(
    name.padEnd(26),
    requestsPerSecond.toFixed(0),
    p50Ms.toFixed(3),
    p99Ms.toFixed(3),
    cpuMicrosPerRequest.toFixed(1),
    (requestsPerSecond / bareMedian.requestsPerSecond).toFixed(2),
  )
}
const failures = [...medians.values()].reduce((sum, { failures }) => sum + failures, 0)
process.stdout.write(`
aims: memory mode 0.85 of bare Hono, redis mode 0.50, JWT bearer 0.80
redis mode beside bare Hono with one raw GET: ${(redisMedian.requestsPerSecond / getMedian.requestsPerSecond).toFixed(2)}
a session in Redis: ${sizes.sessionBytes} bytes of memory without its tokens (aim 1024), ${sizes.tokenBytes} for the tokens
cold start to a ready /readyz (${ready.status}): ${coldStartMs.toFixed(0)} ms (aim under 1000)
resident memory after ${MEMORY_CHECKS.toLocaleString('en')} checks and more: ${(await residentMib(memory.internalPort)).toFixed(0)} MiB
failed requests: ${failures}
`)
process.exitCode = failures > 0 ? 1 : 0
