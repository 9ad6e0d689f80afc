import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Activity, startActivity } from './activity.ts'
import { commandsLeft, untilCalm } from './calm.ts'
import { carryOutEndings, carryOutFaults } from './carry-out.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import type { Stage } from './deeds.ts'
import { createFindings, type Findings } from './findings.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { watchMachine } from './machine.ts'
import { createPeople, type People } from './people.ts'
import { startPlaces } from './places.ts'
import { type Renewals, watchRenewals } from './renewals.ts'
import {
  describeSchedule,
  PEOPLE,
  planChaos,
  REPLICAS,
  type Schedule,
  SIGNED_IN_BEFORE_MS,
} from './schedule.ts'

/** What a run came to. */
export interface ChaosReport {
  readonly schedule: Schedule
  /** What must not be; nothing else is a failure. */
  readonly findings: readonly string[]
  readonly statuses: Readonly<Record<string, number>>
  readonly signIns: number
  readonly renewals: number
  readonly text: string
}

export interface ChaosOptions {
  readonly seed: string
  readonly seconds: number
  /** A folder for what the replicas logged. */
  readonly logsTo?: string | undefined
  /** Called as often as this while it goes on, with the replica that lives through it all. */
  readonly watch?: { readonly everyMs: number; readonly look: (lasting: ChaosReplica) => unknown }
}

const FORGET_EVERY_MS = 60_000

/** Three replicas, people and faults, all by the seed; then it waits for calm. */
export const runChaos = async (options: ChaosOptions): Promise<ChaosReport> => {
  const schedule = planChaos(options.seed, options.seconds)
  await using stack = new AsyncDisposableStack()
  const machine = stack.use(watchMachine())
  const { lag, trouble } = machine
  let beganMs = performance.now()
  const findings = createFindings(trouble, () => beganMs)
  const { redis, provider, keys, replicas } = await startPlaces(stack)
  machine.watchRedis(redis)
  const ledger = createLedger(trouble, lag, (at) => replicas[at]?.life ?? 0)
  const renewals = watchRenewals({
    provider,
    trouble,
    replicas: keys.map(({ kid }) => kid),
    onRefused: (chain, replica, body) => {
      const session = ledger.find(chain)
      const isOver = !session || session.doubt !== undefined || session.order !== undefined
      if (!isOver)
        findings.add('a renewal was refused', { replica, session, detail: JSON.stringify(body) })
    },
  })
  renewals.watch()
  let isOver = false
  const shared = { replicas, ledger, trouble, findings, renewals, provider }
  const people = createPeople({ ...shared, isOver: () => isOver })
  await signInAll(people)
  const activity = stack.use(
    startActivity({ ...shared, people: PEOPLE, sessionOf: people.sessionOf }),
  )
  beganMs = performance.now()
  const stage: Stage = {
    redis,
    provider,
    replicas,
    renewals,
    // What a replica that had Redis to the end was given and told, it has stored and passed on.
    onReplicaEnd: (at, wasKilled, sinceMs) => {
      if (!wasKilled && !trouble.has('isRedisAway', at, sinceMs, performance.now())) return
      ledger.forgetReplica(at)
      for (const chain of renewals.heldBy(at)) ledger.loseTokens(chain)
    },
  }
  const lasting = replicas.at(-1) as ChaosReplica
  const looking = setInterval(() => {
    options.watch?.look(lasting)
    provider.forgetRequests()
  }, options.watch?.everyMs ?? FORGET_EVERY_MS)
  stack.defer(() => clearInterval(looking))
  await Promise.all([
    carryOutFaults(schedule, stage, trouble, beganMs),
    carryOutEndings(schedule, people, beganMs),
    wait(options.seconds * 1000),
  ])
  for (const unrest of await Promise.all(replicas.map(untilCalm)))
    if (unrest !== undefined) findings.add('no calm', { detail: unrest })
  isOver = true
  await activity.stop()
  await lookAtAll(replicas, ledger, activity, findings)
  if (options.logsTo !== undefined) await writeLogs(options.logsTo, replicas)
  return describe(schedule, { activity, people, renewals, findings, busy: machine.busy() })
}

const signInAll = async (people: People): Promise<void> => {
  await Promise.all(
    Array.from({ length: PEOPLE }, async (_, person) => {
      await wait((SIGNED_IN_BEFORE_MS * person) / PEOPLE)
      await people.signIn(person, person % REPLICAS)
    }),
  )
}

/** Every session there was, once more at every replica. */
const lookAtAll = async (
  replicas: readonly ChaosReplica[],
  ledger: Ledger,
  activity: Activity,
  findings: Findings,
): Promise<void> => {
  for (const replica of replicas) {
    const left = await commandsLeft(replica)
    if (left > 0)
      findings.add('commands without an answer', { replica: replica.at, detail: `${left}` })
  }
  for (const session of ledger.sessions)
    for (const replica of replicas) await activity.ask(replica, session)
}

const describe = (
  schedule: Schedule,
  parts: {
    activity: Activity
    people: People
    renewals: Renewals
    findings: Findings
    busy: number
  },
): ChaosReport => {
  const { activity, people, renewals, findings, busy } = parts
  const list = (counts: object) =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ×${count}`)
      .join(', ')
  return {
    schedule,
    findings: findings.all(),
    statuses: activity.statuses,
    signIns: people.counts['sign-in'],
    renewals: renewals.counts.granted,
    text:
      `chaos, seed ${schedule.seed}: ${schedule.faults.length} faults in ${schedule.seconds} s; ` +
      `checks ${list(activity.statuses)}; ${list(people.counts)}; renewals ${list(renewals.counts)}; ` +
      `machine busy ×${busy}; ${findings.all().length} findings`,
  }
}

const writeLogs = async (folder: string, replicas: readonly ChaosReplica[]): Promise<void> => {
  await mkdir(folder, { recursive: true })
  for (const { at, outputs } of replicas)
    for (const [life, output] of outputs().entries())
      await writeFile(join(folder, `replica-${at}-life-${life + 1}.log`), output)
}

/** For the message of a test that fails: what to repeat it with, what was found, and what happened when. */
export const describeFindings = ({ schedule, findings }: ChaosReport): string =>
  [`CHAOS_SEED=${schedule.seed}`, ...findings, describeSchedule(schedule)].join('\n')
