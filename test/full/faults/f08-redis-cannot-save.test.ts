import { expect, test } from 'vitest'
import { breakSnapshots } from '../../support/broken-snapshots.ts'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import { beginSignIn } from '../../support/outage-course.ts'
import { prepared } from '../../support/prepared.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'

describeWithRedis('F08 Redis cannot save', () => {
  // With an idle limit a check has one write, whose refusal must not matter.
  const settings = { SESSION_IDLE_TIMEOUT: '600' }
  const replicas = prepared(() => startReplicas({ count: 2, settings }))

  test('checks pass, a sign-in is deferred, and a sign-out counts here at once and everywhere after the repair', async () => {
    const { first, all } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const fresh = await replicas().signedIn()
    const signIn = await beginSignIn(replicas())
    const repair = await breakSnapshots(replicas().redis)
    for (let round = 0; round < 20; round += 1) await expectStatus(200, first, cookie, fresh.cookie)
    expect((await browser.get(`${APP}/oauth2/me`)).status).toBe(200)
    await outage.expectHealthy(first)

    await signIn.expectDeferred()
    await outage.expectSignOutDeferred(first, browser)
    expect(await outage.redisErrors(first, 'misconf')).toBeGreaterThan(0)
    await outage.expectOthersServed(first)

    await repair()
    // The breaker may have opened, and probes each second.
    const signsIn = async () => {
      const visit = await signIn.follow()
      if (visit.status !== 503) expect(visit.location).toBe(`${APP}/`)
      return visit.status !== 503
    }
    await until('a sign-in', signsIn, 3000)
    await outage.expectEndedEverywhere('F08 sign-out', all, [cookie])
    await expectStatus(200, first, fresh.cookie)
    expect(first.isAlive()).toBe(true)
  })
})
