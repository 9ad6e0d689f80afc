import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startTcpProxy, type TcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import { print, until } from '../../support/own-lag.ts'
import {
  countResults,
  presentedTokens,
  refreshRequests,
  untilDue,
} from '../../support/refreshing-replicas.ts'
import {
  describeWithRedis,
  HYBRID,
  PATIENT,
  type Replicas,
  startReplicas,
  untilStarted,
} from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** How the replicas find Redis again, counted from its return. */
interface Return {
  readonly laterMs: readonly [number, number, number]
  readonly newcomerMs?: number
}

interface RoundResult {
  readonly signedOut: number
  readonly refused: number
  readonly requests: number
  readonly refreshed: number
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
const startRenewalRounds = async () => {
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
    run: (awayMs: number, back: Return) => runRound({ replicas, all, wires }, awayMs, back),
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

const RETURNS: Readonly<Record<string, Return>> = {
  'all at once': { laterMs: [0, 0, 0] },
  'one after the other': { laterMs: [3000, 0, 1500] },
  'a new one is started while Redis is away': { laterMs: [1500, 3000, 3000], newcomerMs: -1500 },
  'a new one is started just after': { laterMs: [3000, 3000, 2000], newcomerMs: 0 },
  'one has a wire that is cut for much longer': { laterMs: [20_000, 0, 1000] },
}
const ROUND_WITHIN_MS = 90_000

describeWithRedis('C65: Redis dies with twelve renewals under way', () => {
  // Two at a time: each length of the outage has replicas of its own, and most of it is waiting.
  test.concurrent.for([
    [2, 40],
    [8, 13],
  ])(
    'away for %i s and %i s, in every order of return: nobody is signed out, nothing is refused',
    { timeout: 10 * ROUND_WITHIN_MS },
    async (lengths) => {
      await using rounds = await startRenewalRounds()
      const results: (RoundResult & { readonly round: string })[] = []
      for (const seconds of lengths) {
        for (const [how, back] of Object.entries(RETURNS)) {
          const result = await rounds.run(seconds * 1000, back)
          const round = `${seconds} s, ${how}`
          results.push({ round, ...result })
          print(`C65 ${round}: ${JSON.stringify(result)}`)
        }
      }
      const calm = { signedOut: 0, refused: 0, requests: 12, refreshed: 12 }
      expect(results).toEqual(results.map(({ round }) => ({ round, ...calm })))
    },
  )
})
