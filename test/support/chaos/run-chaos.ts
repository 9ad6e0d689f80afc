import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startActivity } from './activity.ts'
import { commandsLeft, untilCalm } from './calm.ts'
import { carryOutEndings, carryOutFaults } from './carry-out.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import type { Stage } from './deeds.ts'
import { createFindings } from './findings.ts'
import { createLedger } from './ledger.ts'
import { watchMachine } from './machine.ts'
import { createPeople, type People } from './people.ts'
import { startPlaces } from './places.ts'
import { watchRenewals } from './renewals.ts'
import {
  describeSchedule,
  PEOPLE,
  planChaos,
  REPLICAS,
  type Schedule,
  SIGNED_IN_BEFORE_MS,
} from './schedule.ts'

/** Result of a run. */
export interface ChaosReport {
  readonly schedule: Schedule
  /** Violations, which alone are failures. */
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
/** Nobody waits for longer than this for what was begun before the end, not even on a busy machine. */
const LATE_MS = 90_000

/** Three replicas, people and faults, all by the seed; then it waits for calm. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const schedule = planChaos(options.seed, options.seconds)
  await using stack = new AsyncDisposableStack()
  const scene = await setScene(stack)
  const { replicas, people, trouble, findings } = scene
  const looking = setInterval(() => {
    options.watch?.look(replicas.at(-1) as ChaosReplica)
    scene.provider.forgetRequests()
  }, options.watch?.everyMs ?? FORGET_EVERY_MS)
  stack.defer(() => clearInterval(looking))
  const beganMs = findings.begin()
  const isDone = await Promise.race([
    Promise.all([
      carryOutFaults(schedule, stageOf(scene), trouble, beganMs),
      carryOutEndings(schedule, people, beganMs),
      wait(options.seconds * 1000),
    ]),
    wait(options.seconds * 1000 + LATE_MS),
  ])
  people.leave()
  if (!isDone) findings.add('never over', { detail: people.waiting().join() })
  for (const unrest of await Promise.all(replicas.map(untilCalm)))
    if (unrest !== undefined) findings.add('no calm', { detail: unrest })
  await scene.activity.stop()
  await lookAtAll(scene)
  if (options.logsTo !== undefined) await writeLogs(options.logsTo, replicas)
  return describe(schedule, scene)
}

type Scene = Awaited<ReturnType<typeof setScene>>

/** Everything is there, and everybody signed in and active. */
async function setScene(stack: AsyncDisposableStack) {
  const machine = stack.use(watchMachine())
  const { lag, trouble } = machine
  const findings = createFindings(trouble)
  const { redis, provider, keys, replicas } = await startPlaces(stack)
  machine.watchRedis(redis)
  const ledger = createLedger(trouble, lag, (at) => replicas[at]?.life ?? 0)
  const renewals = watchRenewals({
    provider,
    trouble,
    replicas: keys.map(({ kid }) => kid),
    onRefused: (chain, replica, body) => {
      const session = ledger.find(chain)
      if (!session || session.doubt !== undefined || session.order) return
      findings.add('a renewal was refused', { replica, session, detail: JSON.stringify(body) })
    },
  })
  renewals.watch()
  const shared = { redis, provider, replicas, trouble, findings, ledger, renewals }
  const people = createPeople(shared)
  stack.defer(people.leave)
  await signInAll(people)
  const activity = stack.use(
    startActivity({ ...shared, people: PEOPLE, sessionOf: people.sessionOf }),
  )
  return { ...shared, machine, people, activity }
}

function stageOf({ redis, provider, replicas, renewals, trouble, ledger }: Scene): Stage {
  return {
    redis,
    provider,
    replicas,
    renewals,
    // A replica that had Redis to the end has stored its tokens and passed its messages on.
    onReplicaEnd: (at, wasKilled, sinceMs) => {
      if (!wasKilled && !trouble.has('isRedisAway', at, sinceMs, performance.now())) return
      ledger.forgetReplica(at)
      for (const chain of renewals.heldBy(at)) ledger.loseTokens(chain)
    },
  }
}

async function signInAll(people: People): Promise<void> {
  await Promise.all(
    Array.from({ length: PEOPLE }, async (_, person) => {
      await wait((SIGNED_IN_BEFORE_MS * person) / PEOPLE)
      await people.signIn(person, person % REPLICAS)
    }),
  )
}

/** Every session there was, once more at every replica. */
async function lookAtAll({ replicas, ledger, activity, findings }: Scene): Promise<void> {
  for (const replica of replicas) {
    const left = await commandsLeft(replica)
    if (left > 0)
      findings.add('commands without an answer', { replica: replica.at, detail: `${left}` })
  }
  for (const session of ledger.sessions)
    for (const replica of replicas) await activity.ask(replica, session)
}

function describe(schedule: Schedule, scene: Scene): ChaosReport {
  const { activity, people, renewals, findings, machine } = scene
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
      `machine busy ×${machine.busy()}; ${findings.all().length} findings`,
  }
}

async function writeLogs(folder: string, replicas: readonly ChaosReplica[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const { at, outputs } of replicas)
    for (const [life, output] of outputs().entries())
      await writeFile(join(folder, `replica-${at}-life-${life + 1}.log`), output)
}

/** Describes a failed run: the seed to repeat it with, the findings, and the events with their times. */
export function describeFindings({ schedule, findings }: ChaosReport): string {
  return [`CHAOS_SEED=${schedule.seed}`, ...findings, describeSchedule(schedule)].join('\n')
}
