import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import { startOutageCourse } from '../../support/outage-course.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'

const WATCHED_MS = 1500
/** Connections of four replicas: one each for commands, and one for messages. */
const CONNECTIONS = 8

async function refuseClients({ redis, all }: Replicas): Promise<void> {
  await redis.cli('CONFIG', 'SET', 'maxclients', '1')
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  for (const replica of all) await outage.untilEvent(replica, 'redis_disconnected')
}

describeWithRedis('F21 Redis has too many clients', () => {
  test('a replica that is refused tries again with back-off, and recovers once there is room', async () => {
    await using replicas = await startReplicas({ count: 2, settings: outage.WITHOUT_GRACE })
    const { all, redis } = replicas
    const course = await startOutageCourse(replicas)
    const rejected = async () =>
      Number(/rejected_connections:(\d+)/.exec(await redis.cli('INFO', 'stats'))?.[1])

    const sinceMs = performance.now()
    await expectStatus(200, all, course.cookie)
    await refuseClients(replicas)
    await wait(WATCHED_MS)
    const attempts = await rejected()
    const seconds = (performance.now() - sinceMs) / 1000
    print(`F21 ${attempts} attempts of four replicas in ${WATCHED_MS} ms`)
    expect(attempts).toBeGreaterThan(4)
    expect(attempts).toBeLessThan(outage.mostAttempts(CONNECTIONS, seconds))
    for (const replica of all) {
      await outage.expectChecksRefused(replica, course.cookie)
      await outage.expectUnhealthy(replica)
      await outage.expectOthersServed(replica)
      expect(outage.countEvents(replica, 'redis_disconnected')).toBe(1)
    }
    await course.expectDegraded()

    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    for (const each of all) await outage.expectRecovery('F21 room again', each, course.cookie)
    await course.expectRecovered('F21 room again')
  })

  test('the refusal has an error class of its own', async () => {
    await using replicas = await startReplicas()
    await replicas.signedIn()
    await refuseClients(replicas)
    await until('a refusal', async () => (await outage.redisErrors(replicas.first, 'clients')) > 0)
  })
})
