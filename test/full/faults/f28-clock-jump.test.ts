import { beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { signInAt, untilRefused } from '../../support/hybrid-replicas.ts'
import {
  expectChecksRefused,
  expectChecksStoodIn,
  expectOthersServed,
  expectRecovery,
  readHealth,
  readMetric,
  redisErrors,
  script,
  signOut,
} from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'
import { addShifted } from '../../support/shifted-replica.ts'
import { LOGIN, SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { startedForAll } from '../../support/started-for-all.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const MINUTE_MS = 60_000
/** Whether an ID token of the right time is one to that clock. */
const shifts = [
  ['10 min ahead', 10 * MINUTE_MS, true],
  ['10 min behind', -10 * MINUTE_MS, false],
  ['1 h ahead', 60 * MINUTE_MS, false],
  ['1 h behind', -60 * MINUTE_MS, false],
] as const

/** In redis mode memory answers nothing while Redis does, so that an outage shows at once. */
const SETTINGS = {
  SESSION_IDLE_TIMEOUT: '600',
  // One outage follows the other here, and the breaker would wait longer each time.
  REDIS_CIRCUIT_BREAKER_TIMEOUT: '1',
}

describeWithRedis('F28 the clock of one replica is wrong', () => {
  const replicas = startedForAll(() => startReplicas({ settings: SETTINGS }))
  const all = new Map<number, RunningVestibule>()
  const shiftedBy = (aheadMs: number) => all.get(aheadMs) as RunningVestibule
  beforeAll(async () => {
    for (const [, aheadMs] of shifts) all.set(aheadMs, await addShifted(replicas(), aheadMs))
  })

  test.for(shifts)(
    '%s: sessions go on at either, end at both, and whose clock is wrong is told',
    async ([, aheadMs]) => {
      const { first } = replicas()
      const shifted = shiftedBy(aheadMs)
      const { browser, cookie } = await signInAt(first)
      for (let round = 0; round < 5; round += 1) {
        for (const replica of [first, shifted]) {
          const page = await replica.check({}, { Cookie: cookie })
          const program = await replica.check({}, { ...script, Cookie: cookie })
          expect([page.status, program.status]).toEqual([200, 200])
        }
      }
      await until('what is said of the clock', async () => {
        const { cache, fleet } = await readHealth(shifted)
        const isToldOfRedis = cache.redis.findings.some(({ code }) => code === 'clock')
        return isToldOfRedis && fleet.findings.some(({ kind }) => kind === 'clock')
      })
      await until('the same elsewhere', async () => {
        const { fleet } = await readHealth(first)
        return fleet.findings.some(({ kind }) => kind === 'clock')
      })
      const offset = await readMetric(shifted, 'vestibule_redis_clock_offset_seconds')
      expect(Math.abs(offset + aheadMs / 1000)).toBeLessThan(10)

      expect((await signOut(browser)).status).toBe(303)
      expect(await untilRefused(shifted, cookie)).toBeLessThan(BUSY_MS)
      for (const failure of ['other', 'data', 'permission']) {
        expect(await redisErrors(shifted, failure)).toBe(0)
      }
      await expectOthersServed(shifted)
    },
  )

  test.for(shifts)(
    '%s: a sign-in there works or ends on a page, and never goes round',
    async ([, aheadMs, works]) => {
      const shifted = shiftedBy(aheadMs)
      const browser = shifted.visitor()
      const last = await browser.signIn(`${LOGIN}?rd=/oauth2/me`, 'alice')
      expect(browser.trail.length).toBeLessThan(10)
      expect(browser.trail.every(({ status }) => status < 500)).toBe(true)
      expect(browser.cookies.find(SESSION_COOKIE) !== undefined).toBe(works)
      if (works) {
        expect(last.url).toBe(`${APP}/`)
        return
      }
      expect(last.status).toBe(400)
      expect(last.headers['refresh']).toBeUndefined()
      expect(last.body).toContain('Sign in again')
    },
  )

  test.for(shifts)(
    '%s: in an outage it takes nobody’s assertion for a fresh one, and knows by intervals whom it saw',
    async ([what, aheadMs]) => {
      const { first, redis } = replicas()
      const shifted = shiftedBy(aheadMs)
      const { cookie } = await signInAt(first)
      const { cookie: seenCookie } = await signInAt(first)
      const asserted = `${cookie}; ${await takeAssertion(first, cookie)}`
      const seen = `${seenCookie}; ${await takeAssertion(shifted, seenCookie)}`
      await redis.pause()
      await expectChecksRefused(shifted, asserted)
      await expectChecksRefused(first, seen)
      await expectChecksStoodIn(shifted, seen, 'l1')
      await expectChecksStoodIn(first, asserted, 'l1')
      await redis.resume()
      await expectRecovery(`F28 ${what}`, shifted, seen)
      await expectRecovery(`F28 ${what}`, first, seen)
    },
  )

  test.for(shifts)('%s: a session that Redis has ended is over there too', async ([, aheadMs]) => {
    const { first, redis } = replicas()
    const shifted = shiftedBy(aheadMs)
    const { cookie } = await signInAt(first)
    expect((await shifted.check({}, { Cookie: cookie })).status).toBe(200)
    await redis.cli('DEL', storedSession(cookie).keyOf('identity'))
    expect(await untilRefused(shifted, cookie)).toBeLessThan(BUSY_MS)
    expect((await shifted.check({}, { ...script, Cookie: cookie })).status).toBe(401)
  })

  test('a session that is over by that clock alone is none there, and stays one elsewhere', async () => {
    await using short = await startReplicas({ settings: { SESSION_MAX_AGE: '1800' } })
    const shifted = await addShifted(short, 60 * MINUTE_MS)
    const { cookie } = await signInAt(short.first)
    const refused = await shifted.check({}, { Cookie: cookie })
    expect([refused.status, refused.setCookies]).toEqual([302, []])
    expect((await shifted.check({}, { ...script, Cookie: cookie })).status).toBe(401)
    expect((await short.first.check({}, { Cookie: cookie })).status).toBe(200)
    for (const failure of ['other', 'data']) expect(await redisErrors(shifted, failure)).toBe(0)
  })
})
