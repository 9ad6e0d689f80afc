import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startTestProvider } from '../provider.ts'
import { startRedis } from '../redis.ts'
import { APP } from '../relying-party.ts'
import { type Activity, startActivity } from './activity.ts'
import { commandsLeft, untilCalm } from './calm.ts'
import { type ChaosReplica, createClientKey, startChaosReplica } from './chaos-replica.ts'
import { DEEDS, prepare, type Stage } from './deeds.ts'
import { ruleOf } from './faults.ts'
import { createFindings, type Findings } from './findings.ts'
import { startLagLog } from './lag-log.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { createPeople, type People, subOf } from './people.ts'
import { type Renewals, watchRenewals } from './renewals.ts'
import {
  describeSchedule,
  PEOPLE,
  planChaos,
  REPLICAS,
  type Schedule,
  SIGNED_IN_BEFORE_MS,
  TOKEN_SECONDS,
} from './schedule.ts'
import { createTrouble, type Trouble } from './trouble.ts'

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
  const lag = stack.use(startLagLog())
  const trouble = createTrouble(lag)
  let beganMs = performance.now()
  const findings = createFindings(trouble, () => beganMs)
  const { redis, provider, keys, replicas } = await startPlaces(stack)
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
  return describe(schedule, { activity, people, renewals, findings })
}

const startPlaces = async (stack: AsyncDisposableStack) => {
  const keys = await Promise.all(Array.from({ length: REPLICAS }, createClientKey))
  const provider = stack.use(
    await startTestProvider({
      origins: [APP],
      users: Array.from({ length: PEOPLE }, (_, person) => ({ sub: subOf(person) })),
      client: {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: keys.map(({ publicJwk }) => publicJwk) as never },
      },
      configuration: {
        ttl: { AccessToken: TOKEN_SECONDS },
        enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
      },
    }),
  )
  // What has been answered survives a kill: it is written before the answer, and the system keeps it.
  const redis = stack.use(
    await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'no'] }),
  )
  const { issuer, clientId } = provider
  const replicas = await Promise.all(
    keys.map((key, at) => startChaosReplica({ at, redisPort: redis.port, issuer, clientId, key })),
  )
  for (const replica of replicas) stack.use(replica)
  return { keys, provider, redis, replicas }
}

const signInAll = async (people: People): Promise<void> => {
  await Promise.all(
    Array.from({ length: PEOPLE }, async (_, person) => {
      await wait((SIGNED_IN_BEFORE_MS * person) / PEOPLE)
      await people.signIn(person, person % REPLICAS)
    }),
  )
}

const carryOutFaults = async (
  { faults }: Schedule,
  stage: Stage,
  trouble: Trouble,
  beganMs: number,
): Promise<void> => {
  const lanes = Map.groupBy(faults, ({ kind, replica }) => `${ruleOf(kind).lane} ${replica}`)
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const planned of lane) {
        await waitUntil(beganMs + planned.atMs)
        await prepare(stage, planned)
        const over = trouble.begin(planned.kind, planned.replica)
        const undo = await DEEDS[planned.kind](stage, planned)
        await wait(planned.forMs)
        await undo()
        over()
      }
    }),
  )
}

/** Each person's one after the other, and late where the one before took its time. */
const carryOutEndings = async (
  { endings }: Schedule,
  people: People,
  beganMs: number,
): Promise<void> => {
  const own = Map.groupBy(endings, ({ person }) => person)
  await Promise.all(
    [...own.values()].map(async (steps) => {
      for (const planned of steps) {
        await people.stay(planned.person, beganMs + planned.atMs)
        await people.carryOut(planned)
      }
    }),
  )
}

const waitUntil = (atMs: number): Promise<void> => wait(Math.max(0, atMs - performance.now()))

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
  parts: { activity: Activity; people: People; renewals: Renewals; findings: Findings },
): ChaosReport => {
  const { activity, people, renewals, findings } = parts
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
      `${findings.all().length} findings`,
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
