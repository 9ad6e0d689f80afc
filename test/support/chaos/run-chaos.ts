import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { readHealth, readMetric } from '../outage.ts'
import { startTestProvider } from '../provider.ts'
import { startRedis } from '../redis.ts'
import { APP } from '../relying-party.ts'
import { startActivity } from './activity.ts'
import { type ChaosReplica, createClientKey, startChaosReplica } from './chaos-replica.ts'
import { DEEDS, prepare, type Stage } from './deeds.ts'
import { ruleOf } from './faults.ts'
import { createFindings } from './findings.ts'
import { createLedger } from './ledger.ts'
import { watchMachine } from './machine.ts'
import { createPeople, type People, subOf } from './people.ts'
import { watchRenewals } from './renewals.ts'
import { groupOf, REPORT_RULE, type RuleSets, startRuleSets } from './rule-sets.ts'
import * as plan from './schedule.ts'
import type { Trouble } from './trouble.ts'

/** Result of a run; its findings alone are failures. */
export type ChaosReport = Awaited<ReturnType<typeof runChaos>>

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
export async function runChaos(options: ChaosOptions) {
  const schedule = plan.planChaos(options.seed, options.seconds)
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
      carryOutFaults(schedule, scene.stage, trouble, beganMs),
      carryOutEndings(schedule, people, beganMs),
      carryOutSwaps(schedule, scene.ruleSets, beganMs),
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
  return {
    schedule,
    findings: findings.all(),
    statuses: scene.activity.statuses,
    signIns: people.signIns(),
    renewals: scene.renewals.granted(),
    /** Counts of the replica that lives through it all. */
    reloads: await countAtLasting(scene, 'vestibule_rules_reloads_total{result="reloaded"}'),
    reported: await countAtLasting(
      scene,
      `vestibule_rules_would_deny_total{rule="${REPORT_RULE}"}`,
    ),
  }
}

type Scene = Awaited<ReturnType<typeof setScene>>

/** Everything is there, and everybody signed in and active. */
async function setScene(stack: AsyncDisposableStack) {
  const machine = stack.use(watchMachine())
  const { lag, trouble } = machine
  const findings = createFindings(trouble)
  const { redis, provider, keys, replicas, ruleSets } = await startPlaces(stack)
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
  const shared = { redis, provider, replicas, ruleSets, trouble, findings, ledger, renewals }
  const people = createPeople(shared)
  stack.defer(people.leave)
  await signInAll(people)
  const activity = stack.use(
    startActivity({ ...shared, lag, people: plan.PEOPLE, sessionOf: people.sessionOf }),
  )
  const stage: Stage = {
    ...shared,
    // A replica that had Redis to the end has stored its tokens and passed its messages on.
    onReplicaEnd: (at, wasKilled, sinceMs) => {
      if (!wasKilled && !trouble.has('isRedisAway', at, sinceMs, performance.now())) return
      ledger.forgetReplica(at)
      for (const chain of renewals.heldBy(at)) ledger.loseTokens(chain)
    },
  }
  return { ...shared, people, activity, stage }
}

async function signInAll(people: People): Promise<void> {
  await Promise.all(
    Array.from({ length: plan.PEOPLE }, async (_, person) => {
      await wait((plan.SIGNED_IN_BEFORE_MS * person) / plan.PEOPLE)
      await people.signIn(person, person % plan.REPLICAS)
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

function countAtLasting({ replicas }: Scene, sample: string): Promise<number> {
  return readMetric((replicas.at(-1) as ChaosReplica).running, sample)
}

async function writeLogs(folder: string, replicas: readonly ChaosReplica[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const { at, outputs } of replicas)
    for (const [life, output] of outputs().entries())
      await writeFile(join(folder, `replica-${at}-life-${life + 1}.log`), output)
}

/** Describes a failed run: the seed to repeat it with, the findings, and the events with their times. */
export function describeFindings({ schedule, findings }: ChaosReport): string {
  return [`CHAOS_SEED=${schedule.seed}`, ...findings, plan.describeSchedule(schedule)].join('\n')
}

/** Starts a provider, a Redis that forgets nothing when it is killed, and replicas; ended with the stack. */
async function startPlaces(stack: AsyncDisposableStack) {
  const keys = await Promise.all(Array.from({ length: plan.REPLICAS }, createClientKey))
  const provider = stack.use(
    await startTestProvider({
      origins: [APP],
      users: Array.from({ length: plan.PEOPLE }, (_, person) => ({
        sub: subOf(person),
        groups: [groupOf(person)],
      })),
      client: {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: keys.map(({ publicJwk }) => publicJwk) as never },
      },
      configuration: {
        ttl: { AccessToken: plan.TOKEN_SECONDS },
        enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
      },
    }),
  )
  // Answered writes survive a kill, because Redis writes them to its file before the answer and the kernel keeps them.
  const redis = stack.use(
    await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'no'] }),
  )
  const ruleSets = stack.use(await startRuleSets())
  const { issuer, clientId } = provider
  const replicas = await Promise.all(
    keys.map((key, at) =>
      startChaosReplica({
        at,
        redisPort: redis.port,
        issuer,
        clientId,
        key,
        rulesFile: ruleSets.path,
      }),
    ),
  )
  for (const replica of replicas) stack.use(replica)
  return { keys, provider, redis, replicas, ruleSets }
}

/** Carries out the faults, one after the other for each replica, for Redis and for the provider. */
async function carryOutFaults(
  { faults, seconds }: plan.Schedule,
  stage: Stage,
  trouble: Trouble,
  beganMs: number,
): Promise<void> {
  const lanes = Map.groupBy(faults, ({ kind, replica }) => `${ruleOf(kind).lane} ${replica}`)
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const planned of lane) {
        await waitUntil(beganMs + planned.atMs)
        if (performance.now() > beganMs + seconds * 1000) return
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

/** Carries out each person's deeds in sequence, late where the one before was slow, and none after the end. */
async function carryOutEndings(
  { endings, seconds }: plan.Schedule,
  people: People,
  beganMs: number,
): Promise<void> {
  const own = Map.groupBy(endings, ({ person }) => person)
  await Promise.all(
    [...own.values()].map(async (steps) => {
      for (const planned of steps) {
        await people.stay(planned.person, beganMs + planned.atMs)
        if (performance.now() > beganMs + seconds * 1000) return
        await people.carryOut(planned)
      }
    }),
  )
}

async function carryOutSwaps(
  { swapsMs }: plan.Schedule,
  ruleSets: RuleSets,
  beganMs: number,
): Promise<void> {
  for (const atMs of swapsMs) {
    await waitUntil(beganMs + atMs)
    await ruleSets.swap()
  }
}

function waitUntil(atMs: number): Promise<void> {
  return wait(Math.max(0, atMs - performance.now()))
}

/** A connection for commands and one to hear on. */
const CONNECTIONS = 2
const CALM_WITHIN_MS = 20_000
const STEADY_MS = 3000
const LOOK_AGAIN_MS = 200

const ZERO_SAMPLES = [
  'vestibule_circuit_breaker_state{breaker="read"}',
  'vestibule_circuit_breaker_state{breaker="write"}',
  'vestibule_revocations_waiting',
]

/** Waits until a replica is as if nothing had been and stays so for a while; says what it is that never came, if anything. */
async function untilCalm(replica: ChaosReplica): Promise<string | undefined> {
  const endMs = performance.now() + CALM_WITHIN_MS
  let calmSinceMs = performance.now()
  let accepted = -1
  for (;;) {
    const unrest = await Promise.race([
      findUnrest(replica, accepted),
      wait(CALM_WITHIN_MS, 'no answer about its health', { ref: false }),
    ])
    const nowMs = performance.now()
    accepted = replica.wire.accepted()
    if (unrest !== undefined) calmSinceMs = nowMs
    if (nowMs - calmSinceMs > STEADY_MS) return undefined
    if (nowMs > endMs) return `replica ${replica.at}: ${unrest ?? 'is not calm for long'}`
    await wait(LOOK_AGAIN_MS)
  }
}

async function findUnrest(
  { running, wire }: ChaosReplica,
  accepted: number,
): Promise<string | undefined> {
  const connections = wire.connections()
  if (connections !== CONNECTIONS) return `${connections} connections`
  if (accepted >= 0 && wire.accepted() !== accepted)
    return `${wire.accepted() - accepted} new connections in ${LOOK_AGAIN_MS} ms`
  const { status } = await readHealth(running)
  if (status !== 'healthy') return `is ${status}`
  for (const sample of ZERO_SAMPLES) {
    const value = await readMetric(running, sample)
    if (value !== 0) return `${sample} is ${value}`
  }
  return undefined
}

/** Commands without an answer while nobody asks for anything: none, but for a heartbeat's. */
async function commandsLeft({ running }: ChaosReplica): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 20 && least > 0; look += 1) {
    least = Math.min(least, await readMetric(running, 'vestibule_redis_commands_in_flight'))
    await wait(50)
  }
  return least
}
