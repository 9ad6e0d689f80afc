import { setTimeout as wait } from 'node:timers/promises'
import { startProvider } from '../../stand-ins/provider/provider.ts'
import { publicOrigin } from '../../test/support/event-client.ts'
import type { Opened, PagesQuestion } from '../../test/support/event-pages-process.ts'
import { ADMIN_TOKEN, askAdmin } from '../../test/support/operator.ts'
import { testClient } from '../../test/support/vestibule.ts'
import { startVestibuleProcess } from '../../test/support/vestibule-process.ts'
import { totalCpuMicros } from '../load/load.ts'
import { processorMicros, residentMib } from '../load/processor-time.ts'
import { signedInCheck } from '../load/signed-in.ts'
import type { Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Table } from '../report/table.ts'
import { startAsked } from '../start-asked.ts'

const STREAMS = 10_000
const PER_SESSION = 10
const CONNECTIONS = 32
const CHECKS_PER_SECOND = 500
/** Two comments to each stream. */
const IDLE_SECONDS = 30

interface Round {
  readonly streamKib: number
  readonly idleMicros: number
  readonly alone: { readonly p50Ms: number; readonly cpuMicros: number }
  readonly beside: { readonly p50Ms: number; readonly cpuMicros: number }
  readonly broadcastMs: number
}

/** Measures ten thousand idle streams, and checks beside them. */
export async function measureStreams(plan: Plan): Promise<Table> {
  const rounds: Round[] = []
  for (let lap = 0; lap < plan.laps; lap++) {
    plan.say(`streams, processes ${lap + 1} of ${plan.laps}`)
    rounds.push(await runLap(plan))
  }
  const of = (figure: 'streamKib' | 'idleMicros' | 'broadcastMs') =>
    spreadOf(rounds.map((round) => round[figure]))
  const p50Of = (side: 'alone' | 'beside') => rounds.map((round) => round[side].p50Ms)
  const cpuOf = (side: 'alone' | 'beside') => rounds.map((round) => round[side].cpuMicros)
  return {
    id: 'streams',
    title: `${STREAMS} open streams`,
    columns: ['figure', 'of without'],
    rows: [
      { name: 'resident KiB a stream', cells: { figure: of('streamKib') } },
      { name: 'CPU µs a second of an idle stream', cells: { figure: of('idleMicros') } },
      { name: 'ms until a broadcast has reached all', cells: { figure: of('broadcastMs') } },
      {
        name: `p50 ms of ${CHECKS_PER_SECOND} checks/s beside them`,
        cells: {
          figure: spreadOf(p50Of('beside')),
          'of without': ratios(p50Of('beside'), p50Of('alone')),
        },
        aims: [{ column: 'of without', atMost: 1.2 }],
      },
      {
        name: 'CPU µs of a check beside them, at full load',
        cells: {
          figure: spreadOf(cpuOf('beside')),
          'of without': ratios(cpuOf('beside'), cpuOf('alone')),
        },
      },
    ],
    notes: [
      `memory mode, ${PER_SESSION} streams a session, read by a process of its own; ${plan.laps} × fresh processes`,
    ],
  }
}

async function runLap({ seconds, warmUpSeconds, generator }: Plan): Promise<Round> {
  await using provider = await startProvider({ clients: [testClient] })
  await using vestibule = await startVestibuleProcess({
    OIDC_ISSUER_URL: provider.issuer,
    ADMIN_TOKEN,
    SESSIONS_PER_USER: '10000',
    NODE_OPTIONS: '--max-old-space-size=2048',
  })
  using pages = await startAsked('test/support/event-pages-process.ts', [])
  const ask = (question: PagesQuestion) => pages.ask(question)
  const cookies: string[] = []
  while (cookies.length < STREAMS) {
    const cookie = await vestibule.signIn('alice')
    for (let own = 0; own < PER_SESSION; own++) cookies.push(cookie)
  }
  const check = await signedInCheck(vestibule)
  const measureChecks = async (forSeconds: number) => {
    const url = `http://127.0.0.1:${vestibule.internalPort}/auth`
    const headers = await check.headers()
    const load = { url, headers, connections: CONNECTIONS, seconds: forSeconds }
    const steady = await generator.run({ ...load, perSecond: CHECKS_PER_SECOND }, [])
    const full = await generator.run(load, [vestibule.pid])
    return { p50Ms: steady.p50Ms, cpuMicros: totalCpuMicros(full) }
  }
  await measureChecks(warmUpSeconds)
  const alone = await measureChecks(seconds)
  const mibBefore = residentMib(vestibule.pid)
  const opened = await ask({ kind: 'open', origin: publicOrigin(vestibule), cookies })
  const { 200: streams = 0 } = opened as Opened
  if (streams !== STREAMS) throw new Error(`only ${streams} streams were opened`)
  const streamKib = ((residentMib(vestibule.pid) - mibBefore) * 1024) / STREAMS
  const before = processorMicros([vestibule.pid])
  await wait(IDLE_SECONDS * 1000)
  const idleMicros = (processorMicros([vestibule.pid]) - before) / IDLE_SECONDS / STREAMS
  const beside = await measureChecks(seconds)
  const sentAtMs = Date.now()
  await askAdmin(vestibule, 'POST', 'broadcast', { event: 'notice', data: 'bench' })
  const all = { kind: 'await', event: 'notice', pages: STREAMS, withinMs: 60_000 } as const
  const { lastAtMs } = (await ask(all)) as { readonly lastAtMs: number }
  return { streamKib, idleMicros, alone, beside, broadcastMs: lastAtMs - sentAtMs }
}
