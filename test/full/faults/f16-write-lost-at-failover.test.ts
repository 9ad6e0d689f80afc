import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { signOut } from '../../support/outage.ts'
import { print } from '../../support/printed.ts'
import { startWatchedRedis, type WatchedRedis } from '../../support/redis-sentinel.ts'
import { settingsFor } from '../../support/redis-settings.ts'
import { openState, until } from '../../support/redis-state.ts'
import { startReplicas } from '../../support/replicas.ts'
import { storedSession } from '../../support/stored-session.ts'

/** What is written meanwhile is on the primary alone, which is then lost. */
async function loseWrites(redis: WatchedRedis, write: () => Promise<unknown>): Promise<void> {
  const [primary] = redis.servers
  // It waits for what the same connection has written, and so for all that was written before.
  await primary.cli('SET', 'the-last-that-is-copied', '1', 'PX', '60000')
  expect(await primary.cli('WAIT', '2', '10000')).toBe('2')
  await redis.isolate(primary)
  await write()
  await primary.kill()
  await until('another primary', async () => (await redis.primaryPort()) !== primary.port, 20_000)
}

const TTL_MS = 60_000

describeWithRedis('F16 a write that is lost at a failover', () => {
  test('an end of a session that no replica of Redis had copied is told again, also for a new replica', async () => {
    await using redis = await startWatchedRedis()
    await using fleet = await startReplicas({
      count: 2,
      settings: { ...settingsFor(redis.target), REDIS_CACHE_MODE: 'hybrid' },
    })
    await untilWhole(fleet.all)
    const { browser, cookie } = await fleet.signedIn()
    const refuses = async (replica: (typeof fleet.all)[0]) =>
      (await replica.check({}, { Cookie: cookie })).status === 302
    await loseWrites(redis, async () => expect((await signOut(browser)).status).toBe(303))
    const sinceMs = performance.now()
    await untilWhole(fleet.all, 20_000)
    for (const replica of fleet.all) expect(await refuses(replica)).toBe(true)

    const primaryPort = await redis.primaryPort()
    const primary = redis.servers.find(({ port }) => port === primaryPort)
    const key = storedSession(cookie).keyOf('identity')
    await until('the end in Redis', async () => (await primary?.cli('EXISTS', key)) === '0', 20_000)
    print(
      `F16: the new primary knows of the end ${(performance.now() - sinceMs).toFixed(0)} ms after the failover`,
    )
    const fresh = await fleet.add()
    await until('an answer', () => refuses(fresh))
  })

  test('the bound: a mark that no replica of Redis had copied is lost, and one that was copied is not', async () => {
    await using redis = await startWatchedRedis()
    await using opened = openState(redis.target)
    const { oneTimeKeys } = opened.state
    await until('a connection', () => opened.redis.isConnected)
    const consume = (key: string) => oneTimeKeys.consume('bearer', key, randomUUID(), TTL_MS)
    expect(await consume('copied')).toBe(true)
    await loseWrites(redis, async () => expect(await consume('not copied')).toBe(true))
    await until(
      'writes',
      () =>
        consume(randomUUID()).then(
          () => true,
          () => false,
        ),
      20_000,
    )
    expect(await consume('copied')).toBe(false)
    expect(await consume('not copied'), 'as docs/redis.md says').toBe(true)
  })
})
