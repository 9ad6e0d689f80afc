import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  countEvents,
  expectChecksRefused,
  expectComeAgain,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectUnhealthy,
  mostAttempts,
  redisErrors,
  WITHOUT_GRACE,
} from '../../support/outage.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'

const WATCHED_MS = 1500
/** Of each replica one for commands and one for messages, and there are four of them. */
const CONNECTIONS = 8

describeWithRedis('F21 Redis has too many clients', () => {
  test('who is not let in asks with pauses, and is there again once there is room', async () => {
    await using replicas = await startReplicas({ count: 2, settings: WITHOUT_GRACE })
    const { all, first, redis, provider } = replicas
    const { cookie } = await replicas.signedIn()
    const prepared = await prepareReplicas(replicas, cookie)
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    provider.forgetRequests()
    const rejected = async () =>
      Number(/rejected_connections:(\d+)/.exec(await redis.cli('INFO', 'stats'))?.[1])

    await redis.cli('CONFIG', 'SET', 'maxclients', '1')
    const sinceMs = performance.now()
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('the loss', () =>
      all.every((replica) => countEvents(replica, 'redis_disconnected') === 1),
    )
    await wait(WATCHED_MS)
    const attempts = await rejected()
    const seconds = (performance.now() - sinceMs) / 1000
    print(`F21 ${attempts} attempts of four replicas in ${WATCHED_MS} ms`)
    expect(attempts).toBeGreaterThan(4)
    expect(attempts).toBeLessThan(mostAttempts(CONNECTIONS, seconds))
    await prepared.expectGoingOn()
    for (const replica of all) {
      await expectChecksRefused(replica, cookie)
      await expectUnhealthy(replica)
      await expectOthersServed(replica)
      expect(countEvents(replica, 'redis_disconnected')).toBe(1)
    }
    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)

    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    for (const replica of all) await expectRecovery('F21 room again', replica, cookie)
    await expectHealthy(first)
    expect((await other.get(callbackUrl)).location).toBe(`${APP}/`)
  })

  test('the refusal has a metric of its own', async () => {
    await using replicas = await startReplicas()
    const { first, redis } = replicas
    await replicas.signedIn()
    await redis.cli('CONFIG', 'SET', 'maxclients', '1')
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('the loss', () => countEvents(first, 'redis_disconnected') === 1)
    await until('a refusal', async () => (await redisErrors(first, 'clients')) > 0)
  })
})
