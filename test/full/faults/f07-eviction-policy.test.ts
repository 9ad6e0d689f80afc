import { expect, test } from 'vitest'
import * as outage from '../../support/outage.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'

const GAUGE = 'vestibule_redis_eviction_policy_ok'

describeWithRedis.concurrent('F07 the eviction policy of Redis', () => {
  test.for(['allkeys-lru', 'volatile-ttl'])('%s is reported and stops nobody', async (policy) => {
    await using replicas = await startReplicas({
      redis: { args: ['--maxmemory-policy', policy] },
    })
    const { first } = replicas
    await outage.untilEvent(first, 'redis_finding')
    expect(first.log().filter((line) => line['event'] === 'redis_finding')).toMatchObject([
      { level: 'warn', code: 'eviction', message: expect.stringContaining(policy) as string },
    ])
    expect((await outage.readHealth(first)).cache.redis.findings).toEqual([
      { code: 'eviction', message: expect.stringMatching(/set noeviction$/) as string },
    ])
    expect(await outage.readMetric(first, GAUGE)).toBe(0)
    await outage.expectStatus(200, first, (await replicas.signedIn()).cookie)

    await replicas.redis.restart({ args: ['--maxmemory-policy', 'noeviction'] })
    await outage.untilMetric(first, GAUGE, 1)
    expect((await outage.readHealth(first)).cache.redis.findings).toEqual([])
    expect(first.isAlive()).toBe(true)
  })

  test('noeviction gives no finding', async () => {
    await using replicas = await startReplicas()
    const { first } = replicas
    await outage.untilMetric(first, GAUGE, 1)
    expect((await outage.readHealth(first)).cache.redis.findings).toEqual([])
    expect(first.log().some((line) => line['event'] === 'redis_finding')).toBe(false)
  })

  test('the gauge is 0 until the policy is known', async () => {
    await using replicas = await startReplicas({ count: 0 })
    await replicas.network.refuse()
    const vestibule = await replicas.add()
    expect(await outage.readMetric(vestibule, GAUGE)).toBe(0)
    await replicas.network.accept()
    await outage.untilMetric(vestibule, GAUGE, 1)
  })
})
