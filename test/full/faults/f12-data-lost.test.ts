import { expect, test } from 'vitest'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { keepInMemory } from '../../support/hybrid-replicas.ts'
import {
  countEvents,
  expectHealthy,
  expectOthersServed,
  readMetric,
  script,
} from '../../support/outage.ts'
import { timed } from '../../support/own-lag.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { HYBRID, PATIENT, type Replicas, startReplicas } from '../../support/replicas.ts'
import { cookieHeader, SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { startedForAll } from '../../support/started-for-all.ts'

const losses = [
  ['emptied', async ({ redis }: Replicas) => void (await redis.cli('FLUSHALL'))],
  ['started again with nothing', ({ redis }: Replicas) => redis.restart()],
] as const

describeWithRedis('F12 Redis lost its data', () => {
  const replicas = startedForAll(() => startReplicas({ count: 2, settings: PATIENT }))

  test.for(losses)(
    '%s: one silent round through the provider, and no loop',
    async ([, lose], { expect }) => {
      const { first, all, provider } = replicas()
      const { browser, cookie } = await replicas().signedIn()
      await expectStatus(200, all, cookie)
      await lose(replicas())
      for (const replica of all) {
        await until('an answer that is certain', async () => {
          const { status } = await replica.check({}, { Cookie: cookie })
          expect([200, 302]).toContain(status)
          return status === 302
        })
        const asked = await replica.check({}, { Cookie: cookie })
        expect(asked.setCookies).toEqual([])
        expect(asked.location).toMatch(`${APP}/oauth2/login?rd=`)
        const program = await replica.check({}, { ...script, Cookie: cookie })
        expect(program.status).toBe(401)
        expect(program.setCookies).toEqual([])
      }

      provider.forgetRequests()
      const { location } = await first.check({}, { Cookie: cookie })
      const stepsBefore = browser.trail.length
      const last = await browser.browse(String(location))
      const steps = browser.trail.slice(stepsBefore)
      expect(last.url).toBe(`${APP}/`)
      expect(steps.every(({ method }) => method === 'GET')).toBe(true)
      expect(steps.some(({ body }) => body.includes('name="login"'))).toBe(false)
      expect(steps.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
      expect(provider.count('token')).toBe(1)
      for (const replica of all) {
        const { status, headers } = await replica.check({}, { Cookie: cookieHeader(browser) })
        expect([status, headers['x-auth-request-user']]).toEqual([200, 'alice'])
        expect((await replica.check({}, { Cookie: cookie })).status).toBe(302)
        await expectHealthy(replica)
        expect(await readMetric(replica, 'vestibule_sign_in_loops_total')).toBe(0)
        await expectOthersServed(replica)
      }
    },
  )

  test('somebody who signed out before is not signed in after it', async () => {
    const { first, redis } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    expect((await browser.post(`${APP}/oauth2/logout`)).status).toBe(303)
    await redis.cli('FLUSHALL')
    expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
  })
})

describeWithRedis('F12 Redis lost its data, and replicas remember', () => {
  const replicas = startedForAll(() =>
    startReplicas({
      count: 2,
      settings: {
        ...HYBRID,
        ...PATIENT,
        REDIS_HYBRID_L1_TTL: '30',
        REDIS_HEALTH_CHECK_INTERVAL: '1',
      },
    }),
  )

  test.for(losses)(
    '%s: what is in memory is forgotten, no assertion brings a session back, and one sign-in does',
    async ([what, lose], { expect }) => {
      const { first, all, provider } = replicas()
      const { browser, cookie } = await replicas().signedIn()
      const asserted = `${cookie}; ${await takeAssertion(first, cookie)}`
      for (const replica of all) await keepInMemory(replica, asserted)
      const changes = () =>
        Promise.all(all.map((each) => readMetric(each, 'vestibule_redis_dataset_changes_total')))
      const changesBefore = await changes()
      const toldBefore = all.map((each) => countEvents(each, 'redis_data_changed'))

      const lost = lose(replicas())
      for (const replica of all) {
        const { ms } = await timed(
          until('an answer that is certain', async () => {
            const { status } = await replica.check({}, { Cookie: asserted })
            expect([200, 302]).toContain(status)
            return status === 302
          }),
        )
        print(`F12 ${what}: forgotten after ${ms.toFixed(0)} ms`)
      }
      await lost
      for (const [at, replica] of all.entries()) {
        for (let round = 0; round < 5; round += 1) {
          const { status, setCookies } = await replica.check({}, { Cookie: asserted })
          expect([status, setCookies]).toEqual([302, []])
        }
        await until('the change', async () => (await changes())[at] !== changesBefore[at])
        expect((await changes())[at]).toBe(Number(changesBefore[at]) + 1)
        expect(countEvents(replica, 'redis_data_changed')).toBe(Number(toldBefore[at]) + 1)
      }

      provider.forgetRequests()
      const { location } = await first.check({}, { Cookie: asserted })
      const stepsBefore = browser.trail.length
      expect((await browser.browse(String(location))).url).toBe(`${APP}/`)
      const logins = browser.trail
        .slice(stepsBefore)
        .filter(({ url }) => url.includes('/oauth2/login'))
      expect(logins).toHaveLength(1)
      expect(provider.count('token')).toBe(1)
      for (const replica of all) {
        expect((await replica.check({}, { Cookie: cookieHeader(browser) })).status).toBe(200)
        expect((await replica.check({}, { Cookie: asserted })).status).toBe(302)
      }
    },
  )
})
