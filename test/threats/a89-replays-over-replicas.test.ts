import { afterAll, beforeAll, expect, test } from 'vitest'
import { asProgram, bearerRule, mintAccessToken } from '../support/bearers.ts'
import { expectComeAgain, readMetric } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import {
  describeWithRedis,
  PATIENT,
  type Replicas,
  startReplicasInProcess,
} from '../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type RequestPool,
} from '../support/request-pool.ts'
import { writeRules } from '../support/rules-file.ts'
import { BINDING_COOKIE, cookieHeader, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { tally } from '../support/tally.ts'
import type { RunningVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visit, type Visitor } from '../support/visitor.ts'

const COUNT = 3
const ROUNDS = 200
const ORDINARY_USES = 1000
const CALLBACK_ROUNDS = 5
const CALLBACKS_EACH = 4

const SIGN_IN_CONCURRENCY = 50

function forwarded(path: string, token: string) {
  const { Accept: _, ...headers } = forwardedNavigation
  const Authorization = `Bearer ${token}`
  return { path: '/auth', headers: { ...headers, 'X-Forwarded-Uri': path, Authorization } }
}

describeWithRedis('A89 the same thing at several replicas at the same moment', () => {
  const stack = new AsyncDisposableStack()
  let replicas: Replicas
  let pools: readonly RequestPool[] = []
  beforeAll(async () => {
    const once = bearerRule('/once/**', {}, { oneTime: true })
    const rules = [once, bearerRule('/api/**'), { access: 'signed-in' }] as const
    const settings = { ...PATIENT, VESTIBULE_CONFIG: stack.use(await writeRules(rules)).path }
    replicas = stack.use(await startReplicasInProcess({ count: COUNT, settings }))
    pools = replicas.all.map(({ internalPort }) => stack.use(createRequestPool(internalPort)))
  })

  afterAll(() => stack.disposeAsync())
  const mint = (): Promise<string> => mintAccessToken(replicas.provider)
  const sendToAll = (path: string, token: string): Promise<number[]> =>
    Promise.all(pools.map(async (pool) => (await pool.send(forwarded(path, token))).status))
  const present = (replica: RunningVestibule, token: string): Promise<Visit> =>
    replica.check({ uri: '/once/' }, { ...asProgram, Authorization: `Bearer ${token}` })
  const sum = async (sample: string): Promise<number> => {
    const each = await Promise.all(replicas.all.map((replica) => readMetric(replica, sample)))
    return each.reduce((total, value) => total + value)
  }

  const at = (replica: RunningVestibule, browser: Visitor): Visitor =>
    createVisitor({
      connectTo: { 'app.example.com': `http://127.0.0.1:${replica.publicPort}` },
      cookies: browser.cookies.copy(),
    })
  const isSignedIn = (browser: Visitor): boolean =>
    cookieHeader(browser)?.includes(`${SESSION_COOKIE}=`) ?? false
  const expectOneSignIn = (visits: readonly Visit[], browsers: readonly Visitor[]): void => {
    expect(tally(visits.map(({ status }) => status))).toEqual({ 302: 1, 400: visits.length - 1 })
    expect(browsers.filter(isSignedIn)).toHaveLength(1)
    for (const refused of visits.filter(({ status }) => status === 400)) {
      expect(refused.setCookies).toEqual([])
      expect(refused.headers['content-type']).toMatch(/^text\/html/)
      expect(refused.headers['cache-control']).toBe('no-store')
    }
  }

  test('one login that comes back many times signs in exactly once', async () => {
    for (let round = 0; round < CALLBACK_ROUNDS; round += 1) {
      const { browser, callbackUrl } = await replicas.untilCallback()
      expect(cookieHeader(browser)).toContain(`${BINDING_COOKIE}=`)
      const before = await sum('vestibule_replays_refused_total{kind="login"}')
      const browsers = replicas.all.flatMap((replica) =>
        Array.from({ length: CALLBACKS_EACH }, () => at(replica, browser)),
      )
      expectOneSignIn(await Promise.all(browsers.map((each) => each.get(callbackUrl))), browsers)
      expect(await sum('vestibule_replays_refused_total{kind="login"}')).toBe(
        before + browsers.length - 1,
      )
    }
  })

  test('replays of a used login take no place of those that sign in', async () => {
    const { browser, callbackUrl } = await replicas.untilCallback()
    const [again, next] = [browser.copy(), await replicas.untilCallback('bob')]
    expect((await browser.get(callbackUrl)).status).toBe(302)
    const replies: number[] = []
    const replay = async () => replies.push((await again.get(callbackUrl)).status)
    const replays = Promise.all(Array.from({ length: SIGN_IN_CONCURRENCY }, replay))
    await until('replays', () => replies.length > 0)
    const { status } = await next.browser.get(next.callbackUrl)
    await replays
    expect([tally(replies), status]).toEqual([{ 400: SIGN_IN_CONCURRENCY }, 302])
  })

  test('one ID token that comes to several logins signs in exactly once', async () => {
    for (let round = 0; round < CALLBACK_ROUNDS; round += 1) {
      replicas.provider.tamperIdToken({ jti: `the-same-${round}` })
      const logins = await Promise.all(replicas.all.map(() => replicas.untilCallback()))
      const browsers = logins.map(({ browser }, index) =>
        at(replicas.all[index] as RunningVestibule, browser),
      )
      const visits = await Promise.all(
        browsers.map((browser, index) => browser.get(String(logins[index]?.callbackUrl))),
      )
      expectOneSignIn(visits, browsers)
    }
    replicas.provider.reset('token')
    expect(await sum('vestibule_replays_refused_total{kind="id-token"}')).toBe(
      CALLBACK_ROUNDS * (COUNT - 1),
    )
  })

  test('a one-time token passes at exactly one of them', async () => {
    const tokens = await Promise.all(Array.from({ length: ROUNDS }, mint))
    for (const token of tokens) {
      expect((await sendToAll('/once/', token)).toSorted((a, b) => a - b)).toEqual([200, 401, 401])
    }
    expect(await sum('vestibule_replays_refused_total{kind="bearer"}')).toBe(ROUNDS * (COUNT - 1))
  })

  test('an ordinary token is never used up, wherever it is sent', async () => {
    const request = forwarded('/api/', await mint())
    const statuses: number[] = []
    const sendShare = (pool: RequestPool, index: number) =>
      pool.sendMany(
        Math.floor((ORDINARY_USES + index) / COUNT),
        () => request,
        ({ status }) => statuses.push(status),
      )
    await Promise.all(pools.map(sendShare))
    expect(tally(statuses)).toEqual({ 200: ORDINARY_USES })
  })

  const outages = [
    ['frozen', () => replicas.redis.pause(), () => replicas.redis.resume()],
    ['killed', () => replicas.redis.kill(), () => replicas.redis.restart()],
  ] as const

  test.for(outages)('no one-time token passes while Redis is %s', async ([, stop, start]) => {
    const [first] = replicas.all as [RunningVestibule]
    const [token, fresh, ordinary] = await Promise.all([mint(), mint(), mint()])
    await stop()
    const visits = await Promise.all(replicas.all.map((replica) => present(replica, token)))
    for (const visit of visits) expectComeAgain(visit, 'json')
    expect(await sendToAll('/api/', ordinary)).toEqual([200, 200, 200])
    await start()
    await until('a mark in Redis', async () => (await present(first, fresh)).status === 200)
    await Promise.all(
      replicas.all.map((replica) =>
        until('Redis', async () => (await replica.internal('/health?strict=1')).status === 200),
      ),
    )
    const passed: number[] = []
    for (let turn = 0; turn < 3; turn += 1) passed.push(...(await sendToAll('/once/', token)))
    expect(tally(passed)).toEqual({ 200: 1, 401: passed.length - 1 })
    for (const replica of replicas.all) expect(replica.isAlive()).toBe(true)
  })
})
