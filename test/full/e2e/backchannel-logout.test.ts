import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  expectLoggedOut,
  expectLogoutRefused,
  sendLogoutToken,
} from '../../support/backchannel-logout.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { quantile, untilWhole } from '../../support/fleet-load.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import { readMetric } from '../../support/outage.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, PATIENT, type Replicas, startReplicas } from '../../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type RequestPool,
} from '../../support/request-pool.ts'
import { expectFailedSignIn, SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import type { SignOptions } from '../../support/tokens.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** A session of a user, known in the memory of every replica. */
interface Known {
  readonly sid: string
  readonly cookie: string
}

const SESSIONS = 5
const REPLICAS = 3
const DELAY_ROUNDS = 12

describeWithRedis('a back-channel logout at one of three replicas', () => {
  let fleet: Replicas
  let pools: readonly RequestPool[]
  beforeAll(async () => {
    fleet = await startReplicas({
      count: REPLICAS,
      settings: { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' },
      provider: { users: ['alice', 'bob'].map((sub) => ({ sub })) },
    })
    pools = fleet.all.map(({ internalPort }) => createRequestPool(internalPort, SESSIONS))
    await untilWhole(fleet.all)
  })
  beforeEach(() => fleet.provider.reset())
  afterAll(async () => {
    for (const pool of pools) pool[Symbol.dispose]()
    await fleet[Symbol.asyncDispose]()
  })

  const replica = (at: number): RunningVestibule => fleet.all[at % REPLICAS] as RunningVestibule
  const ask = async (pool: RequestPool, cookie: string): Promise<number> =>
    (await pool.send({ path: '/auth', headers: { ...forwardedNavigation, Cookie: cookie } })).status
  const statusesOf = ({ cookie }: Known): Promise<number[]> =>
    Promise.all(pools.map((pool) => ask(pool, cookie)))

  /** Spread over the replicas; the second time each of them answers out of memory. */
  const signIn = async (sub: string, count = SESSIONS): Promise<Known[]> => {
    const sessions: Known[] = []
    for (let at = 0; at < count; at += 1) {
      const sid = crypto.randomUUID()
      fleet.provider.tamperIdToken({ sid })
      const { cookie } = await signInAt(replica(at), sub)
      sessions.push({ sid, cookie })
    }
    await expectEverywhere(200, sessions)
    await expectEverywhere(200, sessions)
    return sessions
  }
  const expectEverywhere = async (status: 200 | 302, sessions: readonly Known[]): Promise<void> => {
    const everywhere = pools.map(() => status)
    for (const session of sessions) expect(await statusesOf(session)).toEqual(everywhere)
  }
  const untilRefusedEverywhere = (session: Known) =>
    until('refusals', async () => (await statusesOf(session)).every((each) => each === 302))
  /** Returns when the last allowed check was sent; a replica that stands still allows nobody. */
  const untilRefused = async (pool: RequestPool, { cookie }: Known): Promise<number> => {
    let lastAllowedAtMs = performance.now()
    for (;;) {
      // Resolution of the measured delays.
      await wait(5)
      const sentAtMs = performance.now()
      const status = await ask(pool, cookie)
      if (status !== 200) {
        expect(status).toBe(302)
        return lastAllowedAtMs
      }
      lastAllowedAtMs = sentAtMs
    }
  }

  test('by sub: all five sessions of the user are refused by all of them, within milliseconds', async () => {
    const bob = await signIn('bob', 1)
    const sinceAsked: number[] = []
    const sinceAnswer: number[] = []
    for (let round = 0; round < DELAY_ROUNDS; round += 1) {
      const sessions = await signIn('alice')
      const token = await fleet.provider.mintLogoutToken()
      const refusals = pools.flatMap((pool) => sessions.map((each) => untilRefused(pool, each)))
      const askedAtMs = performance.now()
      expectLoggedOut(await sendLogoutToken(replica(round), token))
      const answeredAtMs = performance.now()
      for (const atMs of await Promise.all(refusals)) {
        sinceAsked.push(Math.max(0, atMs - askedAtMs))
        sinceAnswer.push(Math.max(0, atMs - answeredAtMs))
      }
      await expectEverywhere(302, sessions)
    }
    for (const [what, delays] of Object.entries({
      'asked for': sinceAsked,
      answered: sinceAnswer,
    })) {
      const [median, p90, p99] = [0.5, 0.9, 0.99].map((share) => quantile(delays, share).toFixed(1))
      process.stdout.write(
        `back-channel logout by sub: let in elsewhere after it was ${what}: median ${median} ms, ` +
          `90 % ${p90} ms, 99 % ${p99} ms, of ${delays.length}\n`,
      )
    }
    // Only a message can meet this bound, because memory is served for 30 s.
    expect(quantile(sinceAnswer, 0.99)).toBeLessThan(1000)
    await expectEverywhere(200, bob)
    const ended = replica(0)
      .log()
      .filter((line) => line['event'] === 'backchannel_logout')
    const counts = ended.map((line) => line['count'])
    expect(counts).toEqual(Array(DELAY_ROUNDS / REPLICAS).fill(SESSIONS))
  })

  test('by sid: that one is refused, at the replica of another, and the rest go on', async () => {
    const [first, second, ...rest] = (await signIn('alice')) as [Known, Known, ...Known[]]
    const { provider } = fleet
    const bySid = await provider.mintLogoutToken({ sid: first.sid, sub: undefined })
    expectLoggedOut(await sendLogoutToken(replica(2), bySid))
    const byBoth = await provider.mintLogoutToken({ sid: second.sid })
    expectLoggedOut(await sendLogoutToken(replica(0), byBoth))
    for (const each of [first, second]) await untilRefusedEverywhere(each)
    await expectEverywhere(200, rest)
  })

  test('a token that was used at one replica is used up at all of them', async () => {
    const token = await fleet.provider.mintLogoutToken()
    expectLoggedOut(await sendLogoutToken(replica(0), token))
    const sessions = await signIn('alice', 2)
    for (const each of fleet.all) expectLogoutRefused(await sendLogoutToken(each, token))
    await expectEverywhere(200, sessions)
    const sample = 'vestibule_replays_refused_total{kind="logout-token"}'
    const counts = await Promise.all(fleet.all.map((each) => readMetric(each, sample)))
    expect(counts).toEqual([1, 1, 1])
  })

  test('a token sent to all replicas at once counts once', async () => {
    const sessions = await signIn('alice', 3)
    const token = await fleet.provider.mintLogoutToken()
    const answers = await Promise.all(fleet.all.map((each) => sendLogoutToken(each, token)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 400, 400])
    for (const session of sessions) await untilRefusedEverywhere(session)
    await expectEverywhere(302, sessions)
  })

  test('invalid logout tokens end no session', async () => {
    const sessions = await signIn('alice')
    const nowSeconds = Math.floor(Date.now() / 1000)
    const bad: readonly [Record<string, unknown>, SignOptions?][] = [
      [{}, { as: 'stranger' }],
      [{}, { as: 'none' }],
      [{ exp: nowSeconds - 60 }],
      [{ iat: nowSeconds - 3600 }],
      [{ nonce: 'n' }],
      [{}, { header: { typ: 'JWT' } }],
    ]
    for (const [changes, how] of bad) {
      const token = await fleet.provider.mintLogoutToken(changes, how)
      for (const each of fleet.all) expectLogoutRefused(await sendLogoutToken(each, token))
    }
    await expectEverywhere(200, sessions)
  })

  test('a sign-in that is under way when all sessions of its user end is refused', async () => {
    const { provider } = fleet
    for (const [at, browser] of fleet.all.map((each, at) => [at, each.visitor()] as const)) {
      const { browser: late, callbackUrl } = await fleet.untilCallback('alice')
      for (const cookie of late.cookies.all()) browser.cookies.put(cookie)
      provider.forgetRequests()
      const ended = Promise.withResolvers<void>()
      provider.set('token', { after: ended.promise, times: 1 })
      const finished = browser.get(callbackUrl)
      await until('a token request', () => provider.count('token') === 1)
      const token = await provider.mintLogoutToken()
      expectLoggedOut(await sendLogoutToken(replica(at + 1), token))
      ended.resolve()
      expectFailedSignIn(await finished)
      expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    }
    await expectEverywhere(200, await signIn('alice', 1))
  })

  test('Redis holds a mark for each token, by digests and with an end', async () => {
    const jti = 'a-jti-that-nobody-else-has'
    const token = await fleet.provider.mintLogoutToken({ jti })
    expectLoggedOut(await sendLogoutToken(replica(0), token))
    const keys = (await fleet.redis.cli('KEYS', 'vestibule:j:logout-token:*')).split('\n')
    expect(keys.length).toBeGreaterThan(DELAY_ROUNDS)
    for (const key of keys) {
      expect(key).toMatch(/^vestibule:j:logout-token:\{[\w-]{43}\}$/)
      const ttlMs = Number(await fleet.redis.cli('PTTL', key))
      expect(ttlMs).toBeGreaterThan(5 * 60 * 1000)
      expect(ttlMs).toBeLessThan(12 * 60 * 1000)
    }
  })
})
