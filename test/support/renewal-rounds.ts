import { setTimeout as wait } from 'node:timers/promises'
import { startTcpProxy, type TcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { signInAt } from './hybrid-replicas.ts'
import { until } from './redis-state.ts'
import { countResults, presentedTokens, refreshRequests, untilDue } from './refreshing-replicas.ts'
import { HYBRID, PATIENT, type Replicas, startReplicas, untilStarted } from './replicas.ts'
import type { RunningVestibule } from './vestibule.ts'

/** How the replicas find Redis again, counted from its return. */
export interface Return {
  /** For each replica, by its own wire. */
  readonly laterMs: readonly [number, number, number]
  /** When a new replica is started. */
  readonly newcomerMs?: number
}

/** Result of a round with an outage. */
export interface RoundResult {
  /** People whom some replica has asked to sign in. */
  readonly signedOut: number
  /** Renewals that the provider has refused. */
  readonly refused: number
  readonly requests: number
  readonly refreshed: number
}

export interface RenewalRounds extends AsyncDisposable {
  readonly run: (awayMs: number, back: Return) => Promise<RoundResult>
}

const PEOPLE = Array.from({ length: 12 }, (_, at) => `user-${at}`)
const LIFE_SECONDS = 8
/** One after the other for the renewals of a round. */
const ANSWERS_AFTER_MS = [200, 2500, 6000]
const KILLED_AFTER_MS = 300
const VISIT_EVERY_MS = 250
/** A busy machine may have taken Redis for one that is away, after which nothing begins for a while. */
const BUSY_MS = 30_000
/** By then nobody holds back any more, and whoever would renew a second time has done so. */
const SETTLED_AFTER_MS = 13_000

/** Three replicas, each with a wire of its own to one Redis, and a provider that takes a refresh token once. */
export const startRenewalRounds = async (): Promise<RenewalRounds> => {
  await using stack = new AsyncDisposableStack()
  const users = PEOPLE.map((sub) => ({ sub }))
  const replicas = stack.use(
    await startReplicas({ count: 0, settings: { ...HYBRID, ...PATIENT }, provider: { users } }),
  )
  const wires: TcpProxy[] = []
  const addWired = async (): Promise<RunningVestibule> => {
    const wire = stack.use(await startTcpProxy(replicas.redis.port))
    wires.push(wire)
    return replicas.add({ REDIS_ADDRESS: `127.0.0.1:${wire.port}` })
  }
  const all = [await addWired(), await addWired(), await addWired()]
  await Promise.all(all.map(untilStarted))
  const resources = stack.move()
  return {
    run: (awayMs, back) => runRound({ replicas, all, wires }, awayMs, back),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

interface World {
  readonly replicas: Replicas
  readonly all: readonly RunningVestibule[]
  readonly wires: readonly TcpProxy[]
}

const runRound = async (world: World, awayMs: number, back: Return): Promise<RoundResult> => {
  const { replicas, all } = world
  const { provider } = replicas
  const refusals = watchProvider(replicas)
  const before = await countResults(all, 'refreshed')
  const cookies = await signInAll(all)
  const issuedAtMs = performance.now()
  provider.forgetRequests()
  refusals.renew()
  await untilDue(issuedAtMs, LIFE_SECONDS)
  const check = (cookie: string, at: number) =>
    (all[at % all.length] as RunningVestibule).check({}, { Cookie: cookie })
  const areUnderWay = async (): Promise<boolean> => {
    await Promise.all(cookies.map(check))
    return refreshRequests(provider).length >= PEOPLE.length
  }
  await until('renewals under way', areUnderWay, BUSY_MS)
  await using visits = startVisits(cookies)
  for (const replica of all) visits.add(replica)
  await wait(KILLED_AFTER_MS)
  await using newcomer = await breakRedis(world, awayMs, back, visits.add)
  await wait(SETTLED_AFTER_MS)
  const counted = newcomer ? [...all, newcomer] : all
  const countRefreshed = async () => (await countResults(counted, 'refreshed')) - before
  const areStored = async () => (await countRefreshed()) >= PEOPLE.length
  await until('all to be stored', areStored, BUSY_MS).catch(() => undefined)
  await visits.stop()
  const refreshed = await countRefreshed()
  provider.reset()
  return {
    signedOut: visits.signedOut.size,
    refused: refusals.count(),
    requests: presentedTokens(provider).length,
    refreshed,
  }
}

/** Tokens of sign-ins end soon, those of renewals do not, and the latter come when the refresh token is long spent. */
const watchProvider = ({ provider }: Replicas) => {
  let isRenewing = false
  let count = 0
  let renewals = 0
  provider.set('token', {
    rewrite: async (body) => {
      if (!isRenewing) return { ...body, expires_in: LIFE_SECONDS }
      if ('error' in body) count += 1
      await wait(ANSWERS_AFTER_MS[renewals++ % ANSWERS_AFTER_MS.length])
      return 'access_token' in body ? { ...body, expires_in: 3600 } : body
    },
  })
  return {
    renew: () => {
      isRenewing = true
    },
    count: () => count,
  }
}

const signInAll = async (all: readonly RunningVestibule[]): Promise<readonly string[]> => {
  const cookies: string[] = []
  for (const [at, sub] of PEOPLE.entries()) {
    cookies.push((await signInAt(all[at % all.length] as RunningVestibule, sub)).cookie)
  }
  return cookies
}

/** Everybody at every replica, again and again. */
const startVisits = (cookies: readonly string[]) => {
  const signedOut = new Set<string>()
  const running: Promise<void>[] = []
  let isOver = false
  const visit = async (replica: RunningVestibule): Promise<void> => {
    while (!isOver) {
      await Promise.all(
        cookies.map(async (cookie) => {
          const { status } = await replica.check({}, { Cookie: cookie })
          if (status !== 200 && status !== 503) signedOut.add(cookie)
        }),
      )
      await wait(VISIT_EVERY_MS)
    }
  }
  const stop = async (): Promise<void> => {
    isOver = true
    await Promise.all(running)
  }
  return {
    signedOut,
    add: (replica: RunningVestibule) => void running.push(visit(replica)),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Kills Redis and brings it back; resolves with the new replica, when the last wire leads to Redis again. */
const breakRedis = async (
  { replicas, wires }: World,
  awayMs: number,
  { laterMs, newcomerMs }: Return,
  visit: (newcomer: RunningVestibule) => void,
): Promise<RunningVestibule | undefined> => {
  const { redis } = replicas
  await redis.cli('SAVE')
  await Promise.all([redis.kill(), ...wires.map((wire) => wire.refuse())])
  const addNewcomer = async (startsMs: number): Promise<RunningVestibule> => {
    await wait(Math.max(0, awayMs + startsMs))
    const newcomer = await replicas.add()
    visit(newcomer)
    return newcomer
  }
  const bringBack = async (): Promise<void> => {
    await wait(awayMs)
    await redis.restart({ keepData: true })
    const accept = async (wire: TcpProxy, at: number): Promise<void> => {
      await wait(laterMs[at])
      await wire.accept()
    }
    await Promise.all(wires.map(accept))
  }
  const newcomer = newcomerMs === undefined ? undefined : addNewcomer(newcomerMs)
  await Promise.all([newcomer, bringBack()])
  return newcomer
}
