import { expect, test } from 'vitest'
import { statusAt } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { redisErrors, WITHOUT_GRACE } from '../../support/outage.ts'
import { startOutageCourse } from '../../support/outage-course.ts'
import { until } from '../../support/redis-state.ts'
import { startReplicas } from '../../support/replicas.ts'

/** Makes loading take four seconds, in which Redis answers commands; connecting may take one and a half of them. */
const SLOW_LOADING = ['--key-load-delay', '200', '--loading-process-events-interval-bytes', '1024']

describeWithRedis('F11 Redis loads its data after a start', () => {
  test('checks are degraded until the data are loaded, and then everybody goes on', async () => {
    await using replicas = await startReplicas({ settings: WITHOUT_GRACE })
    const { first, redis } = replicas
    const course = await startOutageCourse(replicas)
    await redis.cli('DEBUG', 'POPULATE', '20000')
    const loaded = redis.restart({ keepData: true, args: SLOW_LOADING })
    await until('a server that loads', async () => {
      await statusAt(first, course.cookie)
      return (await redisErrors(first, 'loading')) > 0
    })
    await course.expectDegraded()
    await loaded
    await course.expectRecovered('F11 loaded')
    expect(first.isAlive()).toBe(true)
  })
})
