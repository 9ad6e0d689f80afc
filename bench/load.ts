import { Agent, get } from 'node:http'
import autocannon from 'autocannon'

/** Result of one round of load. */
export interface Round {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of the server alone, which the load generator and other programs do not disturb. */
  readonly cpuMicrosPerRequest: number
  readonly failures: number
}

/** Sends checks for some seconds over keep-alive connections, as a proxy does. */
export async function load(
  port: number,
  headers: Readonly<Record<string, string>>,
  seconds: number,
  connections = 32,
): Promise<Round> {
  const cpuBefore = await cpuSeconds(port)
  const result = await autocannon({
    url: `http://127.0.0.1:${port}/auth`,
    connections,
    duration: seconds,
    headers,
  })
  const cpuAfter = await cpuSeconds(port)
  const waits = await latencies(port, headers)
  return {
    requestsPerSecond: result.requests.average,
    ...waits,
    cpuMicrosPerRequest: ((cpuAfter - cpuBefore) * 1e6) / result.requests.total,
    failures: result.non2xx + result.errors + result.timeouts,
  }
}

const SEQUENTIAL = 5000

/** Measures one request after another over one connection: the latency of a single visitor. */
async function latencies(
  port: number,
  headers: Readonly<Record<string, string>>,
): Promise<{ p50Ms: number; p99Ms: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const taken: number[] = []
  for (let count = 0; count < SEQUENTIAL; count++) {
    const startedAtMs = performance.now()
    await new Promise<void>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/auth', headers, agent }
      get(options, (answer) => answer.resume().on('end', resolve)).on('error', reject)
    })
    taken.push(performance.now() - startedAtMs)
  }
  agent.destroy()
  const sorted = taken.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}

async function cpuSeconds(port: number): Promise<number> {
  const text = await metricsOf(port)
  return Number(/^vestibule_process_cpu_seconds_total (\S+)/m.exec(text)?.[1] ?? Number.NaN)
}

/** Returns the resident memory of a server in MiB. */
export async function residentMib(port: number): Promise<number> {
  const text = await metricsOf(port)
  const bytes = Number(
    /^vestibule_process_resident_memory_bytes (\S+)/m.exec(text)?.[1] ?? Number.NaN,
  )
  return bytes / 1024 / 1024
}

async function metricsOf(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
}

/** Returns the median of several rounds for each figure by itself. */
export function median(rounds: readonly Round[]): Round {
  const middle = (of: (round: Round) => number) =>
    rounds.map(of).toSorted((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? Number.NaN
  return {
    requestsPerSecond: middle((round) => round.requestsPerSecond),
    p50Ms: middle((round) => round.p50Ms),
    p99Ms: middle((round) => round.p99Ms),
    cpuMicrosPerRequest: middle((round) => round.cpuMicrosPerRequest),
    failures: rounds.reduce((sum, round) => sum + round.failures, 0),
  }
}
