import { testClient } from '../../test/support/vestibule.ts'
import {
  startVestibuleProcess,
  type VestibuleProcess,
} from '../../test/support/vestibule-process.ts'
import { totalCpuMicros } from '../load/load.ts'
import { processorMicros } from '../load/processor-time.ts'
import { redisServer } from '../load/redis-server.ts'
import type { Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Table } from '../report/table.ts'
import type { SignInLoad, SignInResult } from '../sign-ins/visitors-process.ts'
import { type AskedProcess, startAsked } from '../start-asked.ts'

const BESIDE_PER_SECOND = 100
const CHECKS_PER_SECOND = 500
const CONNECTIONS = 32
/** Sign-ins before the first that counts; the compiler has done its work after some thousand. */
const WARM_UP_SIGN_INS = 5000

interface Round {
  readonly checkMicros: number
  readonly signInMicros: number
  readonly signInsPerSecond: number
  readonly aloneP50Ms: number
  /** While another replica on this machine signs the same users in. */
  readonly elsewhereP50Ms: number
  readonly besideP50Ms: number
  /** Sign-ins that were refused, which a busy machine brings about. */
  readonly refused: number
  readonly failedChecks: number
}

/** Measures whole sign-ins in hybrid mode, and checks beside a hundred of them each second. */
export async function measureSignIns(plan: Plan): Promise<Table> {
  const rounds: Round[] = []
  for (let lap = 0; lap < plan.laps; lap++) {
    plan.say(`sign-ins, processes ${lap + 1} of ${plan.laps}`)
    rounds.push(...(await runLap(plan)))
  }
  const of = (figure: keyof Round) => rounds.map((round) => round[figure])
  return {
    id: 'sign-ins',
    title: 'Whole sign-ins',
    columns: ['figure', 'in checks', 'of without', 'of elsewhere'],
    rows: [
      { name: 'sign-ins/s, 16 at once', cells: { figure: spreadOf(of('signInsPerSecond')) } },
      { name: 'CPU µs of a check', cells: { figure: spreadOf(of('checkMicros')) } },
      {
        name: 'CPU µs of a sign-in',
        cells: {
          figure: spreadOf(of('signInMicros')),
          'in checks': ratios(of('signInMicros'), of('checkMicros')),
        },
        aims: [{ column: 'in checks', atMost: 20 }],
      },
      {
        name: `p50 ms of ${CHECKS_PER_SECOND} checks/s alone`,
        cells: { figure: spreadOf(of('aloneP50Ms')) },
      },
      {
        name: `p50 ms beside ${BESIDE_PER_SECOND} sign-ins/s of another replica`,
        cells: {
          figure: spreadOf(of('elsewhereP50Ms')),
          'of without': ratios(of('elsewhereP50Ms'), of('aloneP50Ms')),
        },
      },
      {
        name: `p50 ms beside ${BESIDE_PER_SECOND} sign-ins/s`,
        cells: {
          figure: spreadOf(of('besideP50Ms')),
          'of without': ratios(of('besideP50Ms'), of('aloneP50Ms')),
          'of elsewhere': ratios(of('besideP50Ms'), of('elsewhereP50Ms')),
        },
        aims: [{ column: 'of without', atMost: 1.5 }],
      },
    ],
    notes: [
      'a sign-in is two checks, the login and the callback with one token request, hybrid mode, RS256, all claims in the ID token',
      'of elsewhere: of the same checks while another replica does the sign-ins, because visitors, provider and Redis share the cores with both',
      `checks beside sign-ins are sent at even intervals; ${WARM_UP_SIGN_INS} sign-ins before the first that counts`,
      `${plan.laps} × fresh processes, ${plan.rounds} rounds of ${plan.seconds} s for each figure, in turns; refused sign-ins: ${sum(of('refused'))}; failed checks: ${sum(of('failedChecks'))}`,
    ],
  }
}

async function runLap({
  rounds,
  seconds,
  warmUpSeconds,
  generator,
}: Plan): Promise<readonly Round[]> {
  using provider = await startAsked('bench/sign-ins/provider-process.ts', [])
  using visitors = await startAsked('bench/sign-ins/visitors-process.ts', [])
  await using redis = await redisServer()
  const settings = {
    OIDC_ISSUER_URL: String(await provider.ask('issuer')),
    OIDC_CLIENT_ID: testClient.client_id,
    OIDC_CLIENT_SECRET: testClient.client_secret,
    SESSION_ENCRYPTION_KEY: redis.sessionKey,
    SESSION_OUTAGE_GRACE: '0',
    REDIS_ENABLED: 'true',
    REDIS_URL: redis.url,
    REDIS_CACHE_MODE: 'hybrid',
  }
  await using vestibule = await startVestibuleProcess(settings)
  await using other = await startVestibuleProcess(settings)
  const warmUp = { seconds: warmUpSeconds, atLeast: WARM_UP_SIGN_INS }
  await signIn(visitors, other, warmUp)
  const { check } = await signIn(visitors, vestibule, warmUp)
  const checks = {
    url: `http://127.0.0.1:${vestibule.internalPort}/auth`,
    headers: check,
    connections: CONNECTIONS,
    seconds,
  }
  const steady = { ...checks, perSecond: CHECKS_PER_SECOND }
  const besideSignInsOf = (replica: VestibuleProcess) =>
    Promise.all([
      generator.run(steady, [vestibule.pid]),
      signIn(visitors, replica, { seconds, perSecond: BESIDE_PER_SECOND }),
    ])
  const measured: Round[] = []
  await generator.run({ ...checks, seconds: warmUpSeconds }, [vestibule.pid])
  for (let round = 0; round < rounds; round++) {
    const full = await generator.run(checks, [vestibule.pid])
    const before = processorMicros([vestibule.pid])
    const signIns = await signIn(visitors, vestibule, { seconds })
    const signInMicros = (processorMicros([vestibule.pid]) - before) / signIns.signIns
    const alone = await generator.run(steady, [vestibule.pid])
    const [elsewhere, others] = await besideSignInsOf(other)
    const [beside, own] = await besideSignInsOf(vestibule)
    measured.push({
      checkMicros: totalCpuMicros(full),
      signInMicros,
      signInsPerSecond: signIns.signIns / signIns.seconds,
      aloneP50Ms: alone.p50Ms,
      elsewhereP50Ms: elsewhere.p50Ms,
      besideP50Ms: beside.p50Ms,
      refused: signIns.failures + others.failures + own.failures,
      failedChecks: sum([full, alone, elsewhere, beside].map(({ failures }) => failures)),
    })
  }
  return measured
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}

async function signIn(
  visitors: AskedProcess,
  { publicPort, internalPort }: VestibuleProcess,
  extent: Pick<SignInLoad, 'seconds' | 'perSecond' | 'atLeast'>,
): Promise<SignInResult> {
  const result = (await visitors.ask({ publicPort, internalPort, ...extent })) as SignInResult
  if (result.signIns === 0) throw new Error(`no sign-in succeeded: ${result.firstFailure}`)
  return result
}
