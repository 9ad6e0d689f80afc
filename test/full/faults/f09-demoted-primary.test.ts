import { expect, test } from 'vitest'
import { startCheckLoad } from '../../support/check-load.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  countEvents,
  expectComeAgain,
  expectEndedEverywhere,
  expectOthersServed,
  expectSignOutDeferred,
  GIVEN_UP_AFTER_MS,
  readHealth,
  redisErrors,
} from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'

const HOST = '127.0.0.1'
/** Where it leads is not looked up more often. */
const LOOKED_UP_EACH_MS = 5000

/** Makes one the replica of the other and waits until it has all of its data. */
async function follow(replica: RunningRedis, primary: RunningRedis): Promise<void> {
  await replica.cli('REPLICAOF', HOST, `${primary.port}`)
  await until('a replica in step', async () => {
    const info = await replica.cli('INFO', 'replication')
    return info.includes('master_link_status:up') && info.includes('role:slave')
  })
}

describeWithRedis('F09 the server at our address has become a replica', () => {
  test('sign-ins fail loudly, sign-outs count here at once and everywhere once it is promoted, and reads go on', async () => {
    await using replicas = await startReplicas({
      count: 2,
      redis: { args: ['--repl-diskless-sync-delay', '0'] },
    })
    const { first, all, redis, provider } = replicas
    await using standby = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
    await follow(standby, redis)
    const { cookie } = await replicas.signedIn()
    const leaving = [
      await replicas.signedIn(),
      await replicas.signedIn(),
      await replicas.signedIn(),
    ]
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    provider.forgetRequests()

    await until('a standby with all sessions', async () => {
      const [theirs, ours] = await Promise.all([standby.cli('DBSIZE'), redis.cli('DBSIZE')])
      return theirs === ours
    })
    await standby.cli('REPLICAOF', 'NO', 'ONE')
    await follow(redis, standby)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    const load = startCheckLoad(first.internalPort, cookie)
    const refusedAtMs = performance.now()
    for (const { browser } of leaving) {
      const { value, ownMs } = await timed(other.get(callbackUrl))
      expectComeAgain(value)
      expect(ownMs).toBeLessThan(3500 + BUSY_MS)
      await expectSignOutDeferred(first, browser)
    }
    await until('more checks', () => load.count(200) > 200)
    await load.stop()
    print(
      `F09 checks beside refused writes: ${load.count(200)} passed, ${load.count(503)} were told to come again`,
    )
    expect(provider.count('token')).toBe(0)
    expect(load.oddities).toEqual([])
    expect(load.users).toEqual(new Set(['alice']))
    expect(load.statuses().filter((status) => status !== 200 && status !== 503)).toEqual([])
    expect(load.count(200)).toBeGreaterThan(20 * load.count(503))
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    expect(await redisErrors(first, 'readonly')).toBeGreaterThan(0)
    const mayHaveLookedUp = 1 + Math.ceil((performance.now() - refusedAtMs) / LOOKED_UP_EACH_MS)
    expect(countEvents(first, 'redis_disconnected')).toBeLessThanOrEqual(mayHaveLookedUp)
    await expectOthersServed(first)

    await redis.cli('REPLICAOF', 'NO', 'ONE')
    const { ms } = await timed(
      until(
        'a sign-in',
        async () => (await other.get(callbackUrl)).location === `${APP}/`,
        GIVEN_UP_AFTER_MS,
      ),
    )
    print(`F09 promoted: sign-ins back after ${ms.toFixed(0)} ms`)
    await expectEndedEverywhere(
      'F09 sign-outs',
      all,
      leaving.map((each) => each.cookie),
    )
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    expect(first.isAlive()).toBe(true)
  })

  test('the first write that is refused makes it connect anew, and it says what it has found', async () => {
    await using replicas = await startReplicas()
    const { first, redis } = replicas
    const { browser, cookie } = await replicas.signedIn()
    await redis.cli('REPLICAOF', '127.0.0.1', '9')
    await expectSignOutDeferred(first, browser)
    await until('a new connection', () => countEvents(first, 'redis_connected') === 2)
    await until('the finding', async () => {
      const { findings } = (await readHealth(first)).cache.redis
      return findings.some(({ code }) => code === 'replica')
    })
    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await expectEndedEverywhere('F09 sign-out', [first], [cookie])
  })
})
