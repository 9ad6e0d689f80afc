import { beforeAll, expect, test } from 'vitest'
import { move, signInAt, untilRefused } from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { BUSY_MS, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { APP } from '../../support/relying-party.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import { addShifted } from '../../support/shifted-replica.ts'
import { cookieHeader, LOGIN, SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { addDirectly } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Asserts that a page and a program are both let in at each replica. */
async function expectBothLetIn(all: readonly RunningVestibule[], cookie?: string): Promise<void> {
  for (const replica of all) {
    const page = await replica.check({}, { Cookie: cookie })
    const program = await replica.check({}, { ...outage.script, Cookie: cookie })
    expect([page.status, program.status]).toEqual([200, 200])
  }
}

async function expectNoErrors(replica: RunningVestibule, ...kinds: readonly string[]) {
  for (const kind of kinds)
    expect([kind, await outage.redisErrors(replica, kind)]).toEqual([kind, 0])
}

async function hasClockFinding(replica: RunningVestibule): Promise<boolean> {
  const { fleet } = await outage.readHealth(replica)
  return fleet.findings.some(({ kind }) => kind === 'clock')
}

/** Names the shift, and whether that clock accepts an ID token of the right time. */
const shifts = [
  ['10 min ahead', 10 * MINUTE_MS, true],
  ['10 min behind', -10 * MINUTE_MS, false],
  ['1 h ahead', HOUR_MS, false],
  ['1 h behind', -HOUR_MS, false],
] as const

/** Uses redis mode, where memory answers nothing while Redis does, so that an outage shows at once. */
const SETTINGS = {
  SESSION_IDLE_TIMEOUT: '600',
  // The breaker would wait longer after each of these outages.
  REDIS_CIRCUIT_BREAKER_TIMEOUT: '1',
}

describeWithRedis('F28 the clock of one replica is wrong', () => {
  const replicas = prepared(() => startReplicas({ settings: SETTINGS }))
  const all = new Map<number, RunningVestibule>()
  const shiftedBy = (aheadMs: number) => all.get(aheadMs) as RunningVestibule
  beforeAll(async () => {
    for (const [, aheadMs] of shifts) all.set(aheadMs, await addShifted(replicas(), aheadMs))
  })

  test.for(shifts)('%s: sessions count at both, and it is found', async ([, aheadMs]) => {
    const { first } = replicas()
    const shifted = shiftedBy(aheadMs)
    const { browser, cookie } = await signInAt(first)
    for (let round = 0; round < 5; round += 1) await expectBothLetIn([first, shifted], cookie)
    await until('a finding of the clock', async () => {
      const { cache } = await outage.readHealth(shifted)
      const hasRedisFinding = cache.redis.findings.some(({ code }) => code === 'clock')
      return hasRedisFinding && (await hasClockFinding(shifted))
    })
    await until('a finding at the other', () => hasClockFinding(first))
    const offset = await outage.readMetric(shifted, 'vestibule_redis_clock_offset_seconds')
    expect(Math.abs(offset + aheadMs / 1000)).toBeLessThan(10)

    expect((await outage.signOut(browser)).status).toBe(303)
    expect(await untilRefused(shifted, cookie)).toBeLessThan(BUSY_MS)
    await expectNoErrors(shifted, 'other', 'data', 'permission')
    await outage.expectOthersServed(shifted)
  })

  test.for(shifts)('%s: a sign-in there never loops', async ([, aheadMs, works]) => {
    const browser = shiftedBy(aheadMs).visitor()
    const last = await browser.signIn(`${LOGIN}?rd=/oauth2/me`, 'alice')
    expect(browser.trail.length).toBeLessThan(10)
    expect(browser.trail.every(({ status }) => status < 500)).toBe(true)
    expect(browser.cookies.find(SESSION_COOKIE) !== undefined).toBe(works)
    if (works) return expect(last.url).toBe(`${APP}/`)
    expect([last.status, last.headers['refresh']]).toEqual([400, undefined])
    expect(last.body).toContain('Sign in again')
  })

  test.for(shifts)('%s: in an outage no assertion of it counts', async ([, aheadMs]) => {
    const { first, redis } = replicas()
    const shifted = shiftedBy(aheadMs)
    const { cookie } = await signInAt(first)
    const { cookie: seenCookie } = await signInAt(first)
    const asserted = `${cookie}; ${await takeAssertion(first, cookie)}`
    const seen = `${seenCookie}; ${await takeAssertion(shifted, seenCookie)}`
    await redis.pause()
    await outage.expectChecksRefused(shifted, asserted)
    await outage.expectChecksRefused(first, seen)
    await outage.expectChecksStoodIn(shifted, seen, 'l1')
    await outage.expectChecksStoodIn(first, asserted, 'l1')
    await redis.resume()
    for (const each of [shifted, first]) await outage.expectRecovery(each, seen)
  })

  test('a session that is over by that clock alone is refused there, and goes on elsewhere', async () => {
    await using short = await startReplicas({ settings: { SESSION_MAX_AGE: '1800' } })
    const shifted = await addShifted(short, HOUR_MS)
    const { cookie } = await signInAt(short.first)
    const refused = await shifted.check({}, { Cookie: cookie })
    expect([refused.status, refused.setCookies]).toEqual([302, []])
    expect((await shifted.check({}, { ...outage.script, Cookie: cookie })).status).toBe(401)
    await outage.expectStatus(200, short.first, cookie)
    await expectNoErrors(shifted, 'other', 'data')
  })
})

const skews = [
  ['20 s ahead', 20_000],
  ['20 s behind', -20_000],
] as const

/** Starts two replicas, and names them in both orders because either clock may be the wrong one. */
async function startPair(aheadMs: number) {
  const replicas = await startReplicas()
  const shifted = await addShifted(replicas, aheadMs)
  const { first } = replicas
  const ways: [RunningVestibule, RunningVestibule][] = [
    [first, shifted],
    [shifted, first],
  ]
  return Object.assign(replicas, { shifted, ways })
}

describeWithRedis('F29 clocks of replicas differ a little', () => {
  test.for(skews)('%s: a login begun at one ends at the other', async ([, aheadMs]) => {
    await using pair = await startPair(aheadMs)
    for (const [begin, end] of pair.ways) {
      const begun = begin.visitor()
      const { location } = await begun.get(`${LOGIN}?rd=/`)
      const browser = move(begun, end)
      expect((await browser.signIn(String(location), 'alice')).url).toBe(`${APP}/`)
      expect(browser.trail.length).toBeLessThan(8)
      await expectBothLetIn([begin, end, begin], cookieHeader(browser))
      expect(await outage.readMetric(end, 'vestibule_sign_in_loops_total')).toBe(0)
    }
  })

  test.for(skews)('%s: a sign-out at one counts at the other at once', async ([, aheadMs]) => {
    await using pair = await startPair(aheadMs)
    for (const [one, other] of pair.ways) {
      const { browser, cookie } = await signInAt(one)
      await outage.expectStatus(200, other, cookie)
      expect((await outage.signOut(browser)).status).toBe(303)
      expect(await untilRefused(other, cookie)).toBeLessThan(BUSY_MS)
    }
  })

  test.for(skews)('%s: an assertion of one counts at the other', async ([, aheadMs]) => {
    await using pair = await startPair(aheadMs)
    const aheadToo = await addShifted(pair, aheadMs)
    const right = await addDirectly(pair)
    const sessions: [RunningVestibule, RunningVestibule, string, string][] = []
    for (const [one, other] of pair.ways) {
      const { cookie } = await signInAt(one)
      const asserted = `${cookie}; ${await takeAssertion(one, cookie)}`
      const { status, setCookies } = await other.check({}, { Cookie: asserted })
      expect([status, setCookies]).toEqual([200, []])
      sessions.push([other, one === pair.first ? aheadToo : right, cookie, asserted])
    }
    await pair.redis.pause()
    for (const [, newcomer, cookie, asserted] of sessions) {
      await outage.expectChecksStoodIn(newcomer, asserted, 'assertion')
      await outage.expectChecksRefused(newcomer, cookie)
    }
    await pair.redis.resume()
    for (const [other, , , asserted] of sessions) {
      await outage.expectRecovery(other, asserted)
    }
  })
})
