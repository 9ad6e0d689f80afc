import { startProvider } from '../../stand-ins/provider/provider.ts'
import { writeRules } from '../../test/support/rules-file.ts'
import { TWENTY_CONDITIONS } from '../../test/support/twenty-conditions.ts'
import { testClient } from '../../test/support/vestibule.ts'
import {
  startVestibuleProcess,
  type VestibuleProcess,
} from '../../test/support/vestibule-process.ts'
import { type Round, totalCpuMicros } from '../load/load.ts'
import { type SteadyCheck, signedInCheck } from '../load/signed-in.ts'
import { inTurns, type Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Table } from '../report/table.ts'

const CONNECTIONS = 32
const FEW = '2 rules'
const OF_FEW = 'of two rules'

/** Rules by their number; the last one decides, with twenty conditions or none. */
const CONTESTANTS = [
  { name: FEW, rules: 2, policy: undefined },
  { name: '200 rules', rules: 200, policy: undefined },
  { name: '200 rules, 20 conditions', rules: 200, policy: 'twenty' },
] as const

type Contestant = (typeof CONTESTANTS)[number]

/** Measures checks beside few rules and many, in memory mode. */
export async function measureRules(plan: Plan): Promise<Table> {
  const laps: ReadonlyMap<string, readonly Round[]>[] = []
  for (let lap = 0; lap < plan.laps; lap++) {
    plan.say(`rules, processes ${lap + 1} of ${plan.laps}`)
    laps.push(await runLap(plan))
  }
  const cpuOf = (name: string) => laps.flatMap((lap) => lap.get(name) ?? []).map(totalCpuMicros)
  return {
    id: 'rules',
    title: 'Checks beside many rules',
    columns: ['CPU µs', OF_FEW],
    rows: CONTESTANTS.map(({ name }) => ({
      name,
      cells: {
        'CPU µs': spreadOf(cpuOf(name)),
        ...(name !== FEW && { [OF_FEW]: ratios(cpuOf(name), cpuOf(FEW)) }),
      },
      ...(name !== FEW && { aims: [{ column: OF_FEW, atMost: 1.5 }] }),
    })),
    notes: [
      `memory mode, ${CONNECTIONS} connections; the last rule decides; ${plan.laps} × fresh processes, ${plan.rounds} rounds of ${plan.seconds} s each, in turns`,
    ],
  }
}

interface Started {
  readonly name: string
  readonly server: VestibuleProcess
  readonly check: SteadyCheck
}

async function runLap({ rounds, seconds, warmUpSeconds, generator }: Plan) {
  await using provider = await startProvider({ clients: [testClient] })
  await using resources = new AsyncDisposableStack()
  const started: Started[] = []
  for (const contestant of CONTESTANTS) {
    const file = resources.use(
      await writeRules(rulesOf(contestant), { policies: { twenty: TWENTY_CONDITIONS } }),
    )
    const settings = { OIDC_ISSUER_URL: provider.issuer, VESTIBULE_CONFIG: file.path }
    const server = resources.use(
      await startVestibuleProcess({ ...settings, ALLOW_ANY_USER: 'false' }),
    )
    started.push({ name: contestant.name, server, check: await signedInCheck(server) })
  }
  const measure = async ({ server, check }: Started, forSeconds = seconds) => {
    const url = `http://127.0.0.1:${server.internalPort}/auth`
    const load = { url, headers: await check.headers(), connections: CONNECTIONS }
    return generator.run({ ...load, seconds: forSeconds }, [server.pid])
  }
  for (const each of started) await measure(each, warmUpSeconds)
  return await inTurns(started, rounds, (each) => measure(each))
}

function rulesOf({ rules, policy }: Contestant) {
  const others = Array.from({ length: rules - 1 }, (_, index) => ({ paths: [`/app${index}/**`] }))
  return [...others, { paths: ['/dashboard/**'] }].map((rule) => ({
    ...rule,
    access: 'signed-in' as const,
    ...(policy && { policy }),
  }))
}
