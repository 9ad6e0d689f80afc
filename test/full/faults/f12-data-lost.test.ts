import { expect, test } from 'vitest'
import { keepInMemory } from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { expectEnded, expectGoesOn } from '../../support/refreshing-replicas.ts'
import { APP } from '../../support/relying-party.ts'
import {
  describeWithRedis,
  HYBRID,
  PATIENT,
  type Replicas,
  startReplicas,
} from '../../support/replicas.ts'
import { cookieHeader } from '../../support/sign-in-steps.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import type { Visit, Visitor } from '../../support/visitor.ts'

const losses = [
  ['is emptied', async ({ redis }: Replicas) => void (await redis.cli('FLUSHALL'))],
  ['is started again without data', ({ redis }: Replicas) => redis.restart()],
] as const

/** Waits until a check is refused; until then nothing comes but 200. */
function untilForgotten(replica: RunningVestibule, cookie: string): Promise<void> {
  return until('a refusal', async () => {
    const status = await outage.statusAt(replica, cookie)
    expect([200, 302]).toContain(status)
    return status === 302
  })
}

/** Follows the check's redirect, and asserts that one login with one token request leads back to the app. */
async function expectOneRound(
  { first, provider }: Replicas,
  browser: Visitor,
  cookie: string,
): Promise<readonly Visit[]> {
  provider.forgetRequests()
  const { location } = await first.check({}, { Cookie: cookie })
  const stepsBefore = browser.trail.length
  expect((await browser.browse(String(location))).url).toBe(`${APP}/`)
  const steps = browser.trail.slice(stepsBefore)
  expect(steps.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
  expect(provider.count('token')).toBe(1)
  return steps
}

describeWithRedis('F12 Redis lost its data', () => {
  const replicas = prepared(() => startReplicas({ count: 2, settings: PATIENT }))

  test.for(losses)('Redis %s: one silent sign-in, and no loop', async ([, lose]) => {
    const { first, all } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    await outage.expectStatus(200, all, cookie)
    await lose(replicas())
    for (const replica of all) await untilForgotten(replica, cookie)
    await expectEnded(all, cookie)
    const { location } = await first.check({}, { Cookie: cookie })
    expect(location).toMatch(`${APP}/oauth2/login?rd=`)

    const steps = await expectOneRound(replicas(), browser, cookie)
    expect(steps.every(({ method }) => method === 'GET')).toBe(true)
    expect(steps.some(({ body }) => body.includes('name="login"'))).toBe(false)
    await expectGoesOn(all, String(cookieHeader(browser)))
    await outage.expectStatus(302, all, cookie)
    for (const replica of all) {
      await outage.expectHealthy(replica)
      expect(await outage.readMetric(replica, 'vestibule_sign_in_loops_total')).toBe(0)
      await outage.expectOthersServed(replica)
    }
  })
})

describeWithRedis('F12 Redis lost its data, and replicas have sessions in memory', () => {
  const settings = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
  const often = { REDIS_HEALTH_CHECK_INTERVAL: '1' }
  const replicas = prepared(() => startReplicas({ count: 2, settings: { ...settings, ...often } }))

  test.for(losses)('Redis %s: neither memory nor assertion revives a session', async ([, lose]) => {
    const { first, all } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const asserted = `${cookie}; ${await takeAssertion(first, cookie)}`
    for (const replica of all) await keepInMemory(replica, asserted)
    const changes = () =>
      Promise.all(
        all.map((each) => outage.readMetric(each, 'vestibule_redis_dataset_changes_total')),
      )
    const changesBefore = await changes()
    const toldBefore = all.map((each) => outage.countEvents(each, 'redis_data_changed'))

    const lost = lose(replicas())
    for (const replica of all) await untilForgotten(replica, asserted)
    await lost
    for (const [at, replica] of all.entries()) {
      for (let round = 0; round < 5; round += 1) {
        const { status, setCookies } = await replica.check({}, { Cookie: asserted })
        expect([status, setCookies]).toEqual([302, []])
      }
      await until('the change', async () => (await changes())[at] !== changesBefore[at])
      expect((await changes())[at]).toBe(Number(changesBefore[at]) + 1)
      expect(outage.countEvents(replica, 'redis_data_changed')).toBe(Number(toldBefore[at]) + 1)
    }

    await expectOneRound(replicas(), browser, asserted)
    await outage.expectStatus(200, all, cookieHeader(browser))
    await outage.expectStatus(302, all, asserted)
  })

  test.for(losses)('Redis %s and goes: memory vouches for no session', async ([, lose]) => {
    const { all, network } = replicas()
    const { cookie } = await replicas().signedIn()
    for (const replica of all) await keepInMemory(replica, cookie)
    const changes = all.map((each) => outage.countEvents(each, 'redis_data_changed'))
    await lose(replicas())
    for (const [at, replica] of all.entries()) {
      await outage.untilEvent(replica, 'redis_data_changed', Number(changes[at]) + 1)
    }
    await network.refuse()
    const statuses = await outage.statusesAt(all, cookie)
    await network.accept()
    for (const replica of all) await outage.untilHealthy(replica)
    expect(statuses).toEqual([503, 503])
  })
})
