import { findProgram } from '../../stand-ins/process.ts'
import { type Round, totalCpuMicros } from '../load/load.ts'
import { browserHeaders } from '../load/signed-in.ts'
import { inTurns, type Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Row, Table } from '../report/table.ts'
import { type Contestant, PEER, startContestants } from '../traefik/contestants.ts'
import { openedConnections } from '../traefik/new-connections.ts'
import { type RunningTraefik, startBenchTraefik } from '../traefik/traefik.ts'

const CLIENTS = [4, 32, 64, 128]
const WARM_UP_CLIENTS = 32
const HOST = 'app.example.com'
const CPU_SHARE = 'of oauth2-proxy, CPU'
const P50_SHARE = 'of oauth2-proxy, p50'

interface Measured extends Round {
  readonly newConnections: number
}

/** Measures checks through a real Traefik, of Vestibule by each way of speaking to it and of oauth2-proxy. */
export async function measureThroughTraefik(plan: Plan): Promise<readonly Table[]> {
  if (!findProgram('traefik')) {
    plan.say('through Traefik: not measured, because traefik is not on PATH')
    return []
  }
  const hasPeer = findProgram('oauth2-proxy') !== undefined
  if (!hasPeer) plan.say('oauth2-proxy is not on PATH: Traefik is measured without it')
  const results = new Map<number, Map<string, Measured[]>>()
  for (let lap = 0; lap < plan.laps; lap++) {
    plan.say(`through Traefik, processes ${lap + 1} of ${plan.laps}`)
    await runLap(plan, hasPeer, results)
  }
  return [...results].map(([clients, rounds]) => tableOf(clients, rounds, plan))
}

function tableOf(clients: number, rounds: ReadonlyMap<string, Measured[]>, plan: Plan): Table {
  const peer = rounds.get(PEER)
  const row = (name: string, own: readonly Measured[]): Row => {
    const cells = {
      'CPU µs, both': spreadOf(own.map(totalCpuMicros)),
      'of it Traefik': spreadOf(own.map(({ cpuMicros }) => cpuMicros[0] ?? Number.NaN)),
      ...(peer && { [CPU_SHARE]: ratios(own.map(totalCpuMicros), peer.map(totalCpuMicros)) }),
      'p50 ms': spreadOf(own.map(({ p50Ms }) => p50Ms)),
      ...(peer && {
        [P50_SHARE]: ratios(
          own.map(({ p50Ms }) => p50Ms),
          peer.map(({ p50Ms }) => p50Ms),
        ),
      }),
      'requests/s': spreadOf(own.map(({ perSecond }) => perSecond)),
      'new connections': spreadOf(own.map(({ newConnections }) => newConnections)),
    }
    const isAimed = clients === 64 && peer !== undefined && name.includes('HTTP/2')
    const aims = [CPU_SHARE, P50_SHARE].map((column) => ({ column, atMost: 0.7 }))
    return { name, cells, ...(isAimed && { aims }) }
  }
  const failures = [...rounds.values()].flat().reduce((sum, round) => sum + round.failures, 0)
  return {
    id: `traefik-${clients}`,
    title: `Through Traefik, ${clients} clients`,
    columns: [
      'CPU µs, both',
      'of it Traefik',
      CPU_SHARE,
      'p50 ms',
      P50_SHARE,
      'requests/s',
      'new connections',
    ],
    rows: [...rounds].map(([name, own]) => row(name, own)),
    notes: [
      `${plan.laps} × fresh processes, ${plan.rounds} rounds of ${plan.seconds} s each, in turns; failed requests: ${failures}`,
    ],
  }
}

async function runLap(
  { rounds, seconds, warmUpSeconds, generator }: Plan,
  hasPeer: boolean,
  results: Map<number, Map<string, Measured[]>>,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const { contestants, renew } = await startContestants(stack, hasPeer)
  const traefiks = {
    usual: stack.use(await startTraefikFor(contestants, false)),
    withoutHttp2: stack.use(await startTraefikFor(contestants, true)),
  }
  const measure = (contestant: Contestant, connections: number, forSeconds: number) => {
    const traefik = contestant.isWithoutHttp2 ? traefiks.withoutHttp2 : traefiks.usual
    return measureOne(generator, traefik, contestant, { connections, seconds: forSeconds })
  }
  await renew()
  for (const contestant of contestants) await measure(contestant, WARM_UP_CLIENTS, warmUpSeconds)
  for (const clients of CLIENTS) {
    await renew()
    const measured = await inTurns(contestants, rounds, (contestant) =>
      measure(contestant, clients, seconds),
    )
    const all = results.get(clients) ?? new Map<string, Measured[]>()
    for (const [name, own] of measured) all.set(name, [...(all.get(name) ?? []), ...own])
    results.set(clients, all)
  }
}

/** Starts the Traefik of those contestants that it asks with or without HTTP/2. */
function startTraefikFor(
  contestants: readonly Contestant[],
  isWithoutHttp2: boolean,
): Promise<RunningTraefik> {
  const own = contestants.filter((each) => (each.isWithoutHttp2 ?? false) === isWithoutHttp2)
  const middlewares = new Map(own.map((each) => [slug(each.name), each.middlewares]))
  return startBenchTraefik(middlewares, isWithoutHttp2 ? { GODEBUG: 'http2client=0' } : {})
}

async function measureOne(
  generator: Plan['generator'],
  traefik: RunningTraefik,
  { name, cookie, pid }: Contestant,
  extent: { readonly connections: number; readonly seconds: number },
): Promise<Measured> {
  const url = `${traefik.urls.get(slug(name))}/dashboard/items?page=2`
  const headers = {
    ...browserHeaders,
    Host: HOST,
    'X-Forwarded-Proto': 'https',
    Cookie: cookie(),
  }
  const openedBefore = openedConnections()
  const pids = [traefik.pid, ...(pid === undefined ? [] : [pid])]
  const round = await generator.run({ url, headers, ...extent }, pids)
  const opened = openedConnections() - openedBefore - extent.connections
  return { ...round, newConnections: opened / round.requests }
}

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
}
