import { afterAll, beforeAll, expect, test } from 'vitest'
import { breakSnapshots } from '../../support/broken-snapshots.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  expectComeAgain,
  expectEndedEverywhere,
  expectHealthy,
  expectOthersServed,
  expectSignOutDeferred,
  redisErrors,
} from '../../support/outage.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'

describeWithRedis('F08 Redis cannot save', () => {
  let replicas: Replicas
  beforeAll(async () => {
    // With an idle limit a check has its one write, which is refused here and is nobody's concern.
    replicas = await startReplicas({ count: 2, settings: { SESSION_IDLE_TIMEOUT: '600' } })
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  test('checks pass, sign-ins wait, and sign-outs count here at once and everywhere once it can save', async () => {
    const { first, all, provider } = replicas
    const { browser, cookie } = await replicas.signedIn()
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    const fresh = await replicas.signedIn()
    const repair = await breakSnapshots(replicas.redis)
    provider.forgetRequests()
    for (let round = 0; round < 20; round += 1) {
      expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
      expect((await first.check({}, { Cookie: fresh.cookie })).status).toBe(200)
    }
    expect((await browser.get(`${APP}/oauth2/me`)).status).toBe(200)
    await expectHealthy(first)

    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)
    await expectSignOutDeferred(first, browser)
    expect(await redisErrors(first, 'misconf')).toBeGreaterThan(0)
    await expectOthersServed(first)

    await repair()
    // The breaker may have opened, and is tried again each second.
    await until(
      'a sign-in',
      async () => {
        const visit = await other.get(callbackUrl)
        if (visit.status === 503) return false
        expect(visit.location).toBe(`${APP}/`)
        return true
      },
      3000,
    )
    await expectEndedEverywhere('F08 sign-out', all, [cookie])
    expect((await first.check({}, { Cookie: fresh.cookie })).status).toBe(200)
    expect(first.isAlive()).toBe(true)
  })
})
