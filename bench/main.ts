import { startProcess } from '../demo/process.ts'
import { startProvider } from '../demo/provider.ts'
import { startVestibule, testClient } from '../test/support/vestibule.ts'
import { load, median, type Round, residentMib } from './load.ts'

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4)
const MEMORY_CHECKS = 100_000

const forwarded = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/dashboard/items?page=2',
  'X-Forwarded-For': '203.0.113.7',
  'User-Agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36',
  Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language': 'en',
  'Sec-Fetch-Dest': 'document',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-Site': 'same-origin',
}

await using provider = await startProvider({ clients: [testClient] })
const startedAtMs = performance.now()
await using vestibule = await startVestibule({
  OIDC_ISSUER_URL: provider.issuer,
  LOG_LEVEL: 'info',
})
const ready = await vestibule.internal('/readyz')
const coldStartMs = performance.now() - startedAtMs

const cookie = `${await vestibule.signIn('alice')}; theme=dark`
const request = { ...forwarded, Cookie: cookie }
const answer = await vestibule.check({}, request)
const answered = Object.fromEntries(
  Object.entries(answer.headers).filter(([name]) =>
    /^x-auth-|^cookie$|^content-length$/.test(name),
  ),
)
if (answer.status !== 200 || answer.headers['x-auth-request-user'] !== 'alice') {
  throw new Error(`the check does not answer as it should: ${answer.status}`)
}

const bare = startProcess(process.execPath, ['bench/bare-server.ts', JSON.stringify(answered)])
const barePort = await portOf(bare.output)
const results: { bare: Round[]; check: Round[] } = { bare: [], check: [] }
for (let round = 0; round <= ROUNDS; round++) {
  const bareRound = await load(barePort, request, round === 0 ? 2 : SECONDS)
  const checkRound = await load(vestibule.internalPort, request, round === 0 ? 2 : SECONDS)
  // The first round warms both up.
  if (round === 0) continue
  results.bare.push(bareRound)
  results.check.push(checkRound)
}
const [bareMedian, checkMedian] = [median(results.bare), median(results.check)]
await load(
  vestibule.internalPort,
  request,
  Math.max(1, MEMORY_CHECKS / checkMedian.requestsPerSecond),
)

const row = (name: string, { requestsPerSecond, p50Ms, p99Ms, cpuMicrosPerRequest }: Round) =>
  process.stdout.write(
    `${name.padEnd(26)} ${requestsPerSecond.toFixed(0).padStart(9)} ${p50Ms.toFixed(3).padStart(8)} ${p99Ms.toFixed(3).padStart(8)} ${cpuMicrosPerRequest.toFixed(1).padStart(10)}\n`,
  )
process.stdout.write(
  `\n${'median of rounds'.padEnd(26)} ${'checks/s'.padStart(9)} ${'p50 ms'.padStart(8)} ${'p99 ms'.padStart(8)} ${'CPU µs'.padStart(10)}\n`,
)
row('bare Hono, same headers', bareMedian)
row('signed-in check, memory', checkMedian)
const ratio = checkMedian.requestsPerSecond / bareMedian.requestsPerSecond
const cpuRatio = bareMedian.cpuMicrosPerRequest / checkMedian.cpuMicrosPerRequest
process.stdout.write(
  `\nratio to bare Hono: ${ratio.toFixed(2)} of its throughput, ${cpuRatio.toFixed(2)} by processor time (aim 0.85)
cold start to a ready /readyz (${ready.status}): ${coldStartMs.toFixed(0)} ms (aim under 1000)
resident memory after ${MEMORY_CHECKS.toLocaleString('en')} checks and more: ${(await residentMib(vestibule.internalPort)).toFixed(0)} MiB
failed requests: ${bareMedian.failures} bare, ${checkMedian.failures} check\n`,
)
await bare.stop('SIGKILL')
process.exitCode = checkMedian.failures > 0 ? 1 : 0

async function portOf(output: () => string): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    const port = /"internal_port":(\d+)/.exec(output())?.[1]
    if (port !== undefined) return Number(port)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('the bare server did not start')
}
