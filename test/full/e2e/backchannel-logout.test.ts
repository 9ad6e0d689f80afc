import { beforeAll, beforeEach, expect, test } from 'vitest'
import * as logout from '../../support/backchannel-logout.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import * as hybrid from '../../support/hybrid-replicas.ts'
import { expectStatus, readMetric, statusesAt } from '../../support/outage.ts'
import { BUSY_MS, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import { expectFailedSignIn, SESSION_COOKIE } from '../../support/sign-in-steps.ts'
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
  const fleet = prepared(() =>
    startReplicas({
      count: REPLICAS,
      settings: { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' },
      provider: { users: ['alice', 'bob'].map((sub) => ({ sub })) },
    }),
  )
  beforeAll(() => untilWhole(fleet().all))
  beforeEach(() => fleet().provider.reset())
  const replica = (at: number) => fleet().all[at % REPLICAS] as RunningVestibule
  const mint = (...claims: Parameters<ReturnType<typeof fleet>['provider']['mintLogoutToken']>) =>
    fleet().provider.mintLogoutToken(...claims)
  const logOut = async (at: number, token: string) =>
    logout.expectLoggedOut(await logout.sendLogoutToken(replica(at), token))
  const expectEverywhere = (status: 200 | 302, sessions: readonly Known[]) =>
    expectStatus(status, fleet().all, ...sessions.map(({ cookie }) => cookie))
  const untilRefused = async (...sessions: readonly Known[]): Promise<void> => {
    for (const { cookie } of sessions) {
      await until('refusals', async () =>
        (await statusesAt(fleet().all, cookie)).every((each) => each === 302),
      )
    }
  }
  /** Spread over the replicas; the second time each of them answers out of memory. */
  const signIn = async (sub: string, count = SESSIONS): Promise<Known[]> => {
    const sessions: Known[] = []
    for (let at = 0; at < count; at += 1) {
      const sid = crypto.randomUUID()
      fleet().provider.tamperIdToken({ sid })
      sessions.push({ sid, cookie: (await hybrid.signInAt(replica(at), sub)).cookie })
    }
    for (const _ of ['read', 'remembered']) await expectEverywhere(200, sessions)
    return sessions
  }

  test('by sub: all five sessions of the user are refused by all of them, within milliseconds', async () => {
    const bob = await signIn('bob', 1)
    for (let round = 0; round < DELAY_ROUNDS; round += 1) {
      const sessions = await signIn('alice')
      const token = await mint()
      const refused = fleet().all.flatMap((each) =>
        sessions.map(({ cookie }) => hybrid.untilRefused(each, cookie)),
      )
      await logOut(round, token)
      // Only a message can meet this bound, because memory is served for 30 s.
      expect(Math.max(...(await Promise.all(refused)))).toBeLessThan(BUSY_MS)
    }
    await expectEverywhere(200, bob)
    const ended = replica(0)
      .log()
      .filter((line) => line['event'] === 'backchannel_logout')
    const counts = ended.map((line) => line['count'])
    expect(counts).toEqual(Array(DELAY_ROUNDS / REPLICAS).fill(SESSIONS))
  })

  test('by sid: that one is refused, at the replica of another, and the rest go on', async () => {
    const [first, second, ...rest] = (await signIn('alice')) as [Known, Known, ...Known[]]
    await logOut(2, await mint({ sid: first.sid, sub: undefined }))
    await logOut(0, await mint({ sid: second.sid }))
    await untilRefused(first, second)
    await expectEverywhere(200, rest)
  })

  test('a token that was used at one replica is used up at all of them', async () => {
    const token = await mint()
    await logOut(0, token)
    const sessions = await signIn('alice', 2)
    for (const each of fleet().all)
      logout.expectLogoutRefused(await logout.sendLogoutToken(each, token))
    await expectEverywhere(200, sessions)
    const sample = 'vestibule_replays_refused_total{kind="logout-token"}'
    const counts = await Promise.all(fleet().all.map((each) => readMetric(each, sample)))
    expect(counts).toEqual([1, 1, 1])
  })

  test('a token sent to all replicas at once counts once', async () => {
    const sessions = await signIn('alice', 3)
    const token = await mint()
    const answers = await Promise.all(
      fleet().all.map((each) => logout.sendLogoutToken(each, token)),
    )
    const statuses = answers.map(({ status }) => status)
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 400, 400])
    await untilRefused(...sessions)
    await expectEverywhere(302, sessions)
  })

  test('a sign-in that is under way when all sessions of its user end is refused', async () => {
    const { provider, all } = fleet()
    for (const [at, each] of all.entries()) {
      const { browser: late, callbackUrl } = await fleet().untilCallback('alice')
      const browser = hybrid.move(late, each)
      provider.forgetRequests()
      const ended = Promise.withResolvers<void>()
      provider.set('token', { after: ended.promise, times: 1 })
      const finished = browser.get(callbackUrl)
      await until('a token request', () => provider.count('token') === 1)
      await logOut(at + 1, await mint())
      ended.resolve()
      expectFailedSignIn(await finished)
      expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    }
    await expectEverywhere(200, await signIn('alice', 1))
  })

  test('Redis holds a mark for each token, by digests and with an end', async () => {
    const { redis } = fleet()
    await logOut(0, await mint({ jti: 'a-jti-that-nobody-else-has' }))
    const keys = (await redis.cli('KEYS', 'vestibule:j:logout-token:*')).split('\n')
    expect(keys.length).toBeGreaterThan(DELAY_ROUNDS)
    for (const key of keys) {
      expect(key).toMatch(/^vestibule:j:logout-token:\{[\w-]{43}\}$/)
      const ttlMs = Number(await redis.cli('PTTL', key))
      expect(ttlMs).toBeGreaterThan(5 * 60 * 1000)
      expect(ttlMs).toBeLessThan(12 * 60 * 1000)
    }
  })
})
