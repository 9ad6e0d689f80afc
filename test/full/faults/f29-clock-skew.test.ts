import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { signInAt, untilRefused } from '../../support/hybrid-replicas.ts'
import {
  expectChecksRefused,
  expectChecksStoodIn,
  expectRecovery,
  readMetric,
  script,
  signOut,
} from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'
import { addShifted } from '../../support/shifted-replica.ts'
import { cookieHeader, LOGIN } from '../../support/sign-in-steps.ts'
import { addDirectly } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const skews = [
  ['20 s ahead', 20_000],
  ['20 s behind', -20_000],
] as const

/** Both ways, since either clock may be the wrong one. */
async function startPair(aheadMs: number) {
  const replicas = await startReplicas()
  const shifted = await addShifted(replicas, aheadMs)
  const { first } = replicas
  const ways = [
    [first, shifted],
    [shifted, first],
  ] as const
  return Object.assign(replicas, { shifted, ways })
}

describeWithRedis('F29 clocks of replicas differ a little', () => {
  test.for(skews)(
    'one %s: a login begun at one ends at the other, and its session counts at both at once',
    async ([, aheadMs]) => {
      await using pair = await startPair(aheadMs)
      for (const [begin, end] of pair.ways) {
        const begun = begin.visitor()
        const { location } = await begun.get(`${LOGIN}?rd=/`)
        const browser = end.visitor()
        for (const cookie of begun.cookies.all()) browser.cookies.put(cookie)
        expect((await browser.signIn(String(location), 'alice')).url).toBe(`${APP}/`)
        expect(browser.trail.length).toBeLessThan(8)
        const cookie = cookieHeader(browser)
        for (const replica of [begin, end, begin]) {
          const page = await replica.check({}, { Cookie: cookie })
          const program = await replica.check({}, { ...script, Cookie: cookie })
          expect([page.status, program.status]).toEqual([200, 200])
        }
        expect(await readMetric(end, 'vestibule_sign_in_loops_total')).toBe(0)
      }
    },
  )

  test.for(skews)(
    'one %s: a sign-out at one is known at the other at once',
    async ([, aheadMs]) => {
      await using pair = await startPair(aheadMs)
      for (const [one, other] of pair.ways) {
        const { browser, cookie } = await signInAt(one)
        expect((await other.check({}, { Cookie: cookie })).status).toBe(200)
        expect((await signOut(browser)).status).toBe(303)
        expect(await untilRefused(other, cookie)).toBeLessThan(BUSY_MS)
      }
    },
  )

  test.for(skews)(
    'one %s: an assertion of one counts at the other, which gives no new one for it',
    async ([what, aheadMs]) => {
      await using pair = await startPair(aheadMs)
      const sessions: {
        one: RunningVestibule
        other: RunningVestibule
        cookie: string
        asserted: string
      }[] = []
      for (const [one, other] of pair.ways) {
        const { cookie } = await signInAt(one)
        const asserted = `${cookie}; ${await takeAssertion(one, cookie)}`
        const { status, setCookies } = await other.check({}, { Cookie: asserted })
        expect([status, setCookies]).toEqual([200, []])
        sessions.push({ one, other, cookie, asserted })
      }
      const aheadToo = await addShifted(pair, aheadMs)
      const right = await addDirectly(pair)
      await pair.redis.pause()
      for (const { one, cookie, asserted } of sessions) {
        const newcomer = one === pair.first ? aheadToo : right
        await expectChecksStoodIn(newcomer, asserted, 'assertion')
        await expectChecksRefused(newcomer, cookie)
      }
      await pair.redis.resume()
      for (const { other, asserted } of sessions) {
        await expectRecovery(`F29 ${what}`, other, asserted)
      }
    },
  )
})
