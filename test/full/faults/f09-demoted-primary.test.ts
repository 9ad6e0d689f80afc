import { expect, test } from 'vitest'
import { expectAllowedOrDeferred, startCheckLoad } from '../../support/check-load.ts'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import { beginSignIn } from '../../support/outage-course.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { print, printUntil } from '../../support/printed.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'

const AT_ONCE = { args: ['--repl-diskless-sync-delay', '0'] }
/** Shortest interval between two look-ups of the address. */
const LOOKED_UP_EACH_MS = 5000

/** Makes one the replica of the other and waits until it has all of its data. */
async function follow(replica: RunningRedis, primary: RunningRedis): Promise<void> {
  await replica.cli('REPLICAOF', '127.0.0.1', `${primary.port}`)
  await until('a replica in step', async () => {
    const info = await replica.cli('INFO', 'replication')
    return info.includes('master_link_status:up') && info.includes('role:slave')
  })
}

describeWithRedis('F09 the server at our address has become a replica', () => {
  test('sign-ins are deferred, sign-outs count here at once and everywhere after its promotion, and reads go on', async () => {
    await using replicas = await startReplicas({ count: 2, redis: AT_ONCE })
    const { first, all, redis, provider } = replicas
    await using standby = await startRedis(AT_ONCE)
    await follow(standby, redis)
    const { cookie } = await replicas.signedIn()
    const leaving: Awaited<ReturnType<typeof replicas.signedIn>>[] = []
    for (const _ of [1, 2, 3]) leaving.push(await replicas.signedIn())
    const signIn = await beginSignIn(replicas)

    await until('a standby with all sessions', async () => {
      const [theirs, ours] = await Promise.all([standby.cli('DBSIZE'), redis.cli('DBSIZE')])
      return theirs === ours
    })
    await standby.cli('REPLICAOF', 'NO', 'ONE')
    await follow(redis, standby)
    await expectStatus(200, first, cookie)
    const load = startCheckLoad(first.internalPort, cookie)
    const refusedAtMs = performance.now()
    for (const { browser } of leaving) {
      const { ownMs } = await timed(signIn.expectDeferred())
      expect(ownMs).toBeLessThan(3500 + BUSY_MS)
      await outage.expectSignOutDeferred(first, browser)
    }
    await until('more checks', () => load.count(200) > 200)
    await load.stop()
    print(`F09 checks beside refused writes: ${load.count(200)} x 200, ${load.count(503)} x 503`)
    expect(provider.count('token')).toBe(0)
    expectAllowedOrDeferred(load)
    expect(load.count(200)).toBeGreaterThan(20 * load.count(503))
    await expectStatus(200, first, cookie)
    expect(await outage.redisErrors(first, 'readonly')).toBeGreaterThan(0)
    const mayHaveLookedUp = 1 + Math.ceil((performance.now() - refusedAtMs) / LOOKED_UP_EACH_MS)
    const losses = outage.countEvents(first, 'redis_disconnected')
    expect(losses).toBeLessThanOrEqual(mayHaveLookedUp)
    await outage.expectOthersServed(first)

    await redis.cli('REPLICAOF', 'NO', 'ONE')
    const isSignedIn = async () => (await signIn.follow()).location === `${APP}/`
    await printUntil('F09 promoted: a sign-in', isSignedIn, outage.GIVEN_UP_AFTER_MS)
    const left = leaving.map((each) => each.cookie)
    await outage.expectEndedEverywhere('F09 sign-outs', all, left)
    await expectStatus(200, first, cookie)
    expect(first.isAlive()).toBe(true)
  })

  test('the first refused write makes it connect anew, and health has the finding', async () => {
    await using replicas = await startReplicas()
    const { first, redis } = replicas
    const { browser, cookie } = await replicas.signedIn()
    await redis.cli('REPLICAOF', '127.0.0.1', '9')
    await outage.expectSignOutDeferred(first, browser)
    await until('a new connection', () => outage.countEvents(first, 'redis_connected') === 2)
    await until('the finding', async () => {
      const { findings } = (await outage.readHealth(first)).cache.redis
      return findings.some(({ code }) => code === 'replica')
    })
    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await outage.expectEndedEverywhere('F09 sign-out', [first], [cookie])
  })
})
