import { expect, test } from 'vitest'
import { leastUser } from '../../support/least-user.ts'
import * as outage from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

const PASSWORD = 'a-password-that-nobody-logs'

describeWithRedis('F19 ACL too narrow', () => {
  const replicas = prepared(() =>
    startReplicas({
      redis: { users: [leastUser('app', PASSWORD)] },
      settings: { REDIS_USERNAME: 'app', REDIS_PASSWORD: PASSWORD },
    }),
  )

  /** Permissions count at once; the self-test finds them at the next connection. */
  const change = async (rules: string) => {
    const { redis, first } = replicas()
    const connectionsBefore = outage.countEvents(first, 'redis_connected')
    await redis.cli('ACL', 'SETUSER', 'app', ...rules.split(' '))
    await redis.cli('CLIENT', 'KILL', 'USER', 'app')
    await until(
      'a new connection',
      () => outage.countEvents(first, 'redis_connected') > connectionsBefore,
    )
  }

  test('the documented user has every permission', async () => {
    const { first } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    expect((await outage.signOut(browser)).status).toBe(303)
    const examined = 'vestibule_redis_eviction_policy_ok'
    await outage.untilMetric(first, examined, 1)
    expect((await outage.readHealth(first)).cache.redis.findings).toEqual([])
  })

  // It is an answer about our rights and no outage, so nothing stands in for it.
  test('without GET checks are deferred, also for sessions that were known before', async () => {
    const { first } = replicas()
    const { cookie } = await replicas().signedIn()
    const asserted = `${cookie}; ${await takeAssertion(first, cookie)}`
    await change('-get')
    const hasFinding = async () =>
      JSON.stringify(await outage.readHealth(first)).includes('lacks +get ')
    await until('the finding', hasFinding)
    await outage.expectChecksRefused(first, asserted)
    expect(await outage.redisErrors(first, 'permission')).toBeGreaterThan(0)
    await change('+get')
    await until('nothing to find', async () => !(await hasFinding()))
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
  })

  test.for(['set', 'eval', 'publish'])('without %s reads go on', async (command) => {
    const { first, provider } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const { browser: other, callbackUrl } = await replicas().untilCallback('bob')
    provider.forgetRequests()
    await change(`-${command}`)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    outage.expectComeAgain(await outage.signOut(browser), 'quiet page')
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    if (command === 'set') {
      outage.expectComeAgain(await other.get(callbackUrl))
      expect(provider.count('token')).toBe(0)
    }
    await change(`+${command}`)
    expect((await outage.signOut(browser)).status).toBe(303)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
    await outage.expectOthersServed(first)
    expect(first.output()).not.toContain(PASSWORD)
  })
})
