import { test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { readHealth, readMetric } from '../../support/outage.ts'
import { until } from '../../support/redis-state.ts'
import { startReplicas } from '../../support/replicas.ts'

const GAUGE = 'vestibule_redis_eviction_policy_ok'

describeWithRedis.concurrent('F07 eviction policy', () => {
  test.for(['allkeys-lru', 'volatile-ttl'])(
    '%s is told in the log, by /health and by a gauge, and stops nobody',
    async (policy, { expect }) => {
      await using replicas = await startReplicas({
        redis: { args: ['--maxmemory-policy', policy] },
      })
      const { first } = replicas
      const findings = () => first.log().filter((line) => line['event'] === 'redis_finding')
      await until('the finding', () => findings().length > 0)
      expect(findings()).toMatchObject([
        { level: 'warn', code: 'eviction', message: expect.stringContaining(policy) as string },
      ])
      expect((await readHealth(first)).cache.redis.findings).toEqual([
        { code: 'eviction', message: expect.stringMatching(/set noeviction$/) as string },
      ])
      expect(await readMetric(first, GAUGE)).toBe(0)
      const { cookie } = await replicas.signedIn()
      expect((await first.check({}, { Cookie: cookie })).status).toBe(200)

      await replicas.redis.restart({ args: ['--maxmemory-policy', 'noeviction'] })
      await until('a good word', async () => (await readMetric(first, GAUGE)) === 1)
      expect((await readHealth(first)).cache.redis.findings).toEqual([])
      expect(first.isAlive()).toBe(true)
    },
  )

  test('noeviction is nothing to speak of', async ({ expect }) => {
    await using replicas = await startReplicas()
    const { first } = replicas
    await until('a good word', async () => (await readMetric(first, GAUGE)) === 1)
    expect((await readHealth(first)).cache.redis.findings).toEqual([])
    expect(first.log().some((line) => line['event'] === 'redis_finding')).toBe(false)
  })

  test('while nobody has told yet, the gauge says that it is not known to be good', async ({
    expect,
  }) => {
    await using replicas = await startReplicas({ count: 0 })
    await replicas.network.refuse()
    const vestibule = await replicas.add()
    expect(await readMetric(vestibule, GAUGE)).toBe(0)
    await replicas.network.accept()
    await until('a good word', async () => (await readMetric(vestibule, GAUGE)) === 1)
  })
})
