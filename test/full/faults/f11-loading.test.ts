import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  expectChecksRefused,
  expectComeAgain,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectUnhealthy,
  redisErrors,
  WITHOUT_GRACE,
} from '../../support/outage.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'

/** Four seconds of loading, during which it listens to what it is asked; connecting may take one and a half of them. */
const SLOW_LOADING = ['--key-load-delay', '200', '--loading-process-events-interval-bytes', '1024']

describeWithRedis('F11 Redis reads its data after a start', () => {
  test('until it has done so nobody is told anything new, and then everybody goes on', async () => {
    await using replicas = await startReplicas({ settings: WITHOUT_GRACE })
    const { first, redis, provider } = replicas
    const { cookie } = await replicas.signedIn()
    const prepared = await prepareReplicas(replicas, cookie)
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    provider.forgetRequests()
    await redis.cli('DEBUG', 'POPULATE', '20000')
    const loaded = redis.restart({ keepData: true, args: SLOW_LOADING })
    await until('a server that loads', async () => {
      await first.check({}, { Cookie: cookie })
      return (await redisErrors(first, 'loading')) > 0
    })
    await expectChecksRefused(first, cookie)
    await prepared.expectGoingOn()
    await expectUnhealthy(first)
    await expectOthersServed(first)
    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)

    await loaded
    await expectRecovery('F11 loaded', first, cookie)
    await expectHealthy(first)
    expect((await other.get(callbackUrl)).location).toBe(`${APP}/`)
    expect(first.isAlive()).toBe(true)
  })
})
