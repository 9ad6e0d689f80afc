import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { keySlot, SLOT_COUNT } from '../../../src/redis/cluster/key-slot.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { startLoadedFleet } from '../../support/loaded-fleet.ts'
import { readHealth } from '../../support/outage.ts'
import type { RunningRedis } from '../../support/redis.ts'
import { startCluster } from '../../support/redis-cluster.ts'
import { settingsFor } from '../../support/redis-settings.ts'
import { until } from '../../support/redis-state.ts'
import { startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { storedSession } from '../../support/stored-session.ts'

describeWithRedis('F14 Redis Cluster', () => {
  test('a primary is killed under load: nobody notices, and its sessions are back with its replica', async () => {
    await using cluster = await startCluster({ shards: 3, replicasPerShard: 1 })
    await using loaded = await startLoadedFleet(cluster.target)
    const sinceMs = performance.now()
    await (cluster.primaries[1] as RunningRedis).kill()
    await loaded.expectUnnoticed('F14 a primary killed', sinceMs)
  })

  test('slots are moved under load: nobody notices', async () => {
    await using cluster = await startCluster({ shards: 3 })
    await using loaded = await startLoadedFleet(cluster.target)
    const sinceMs = performance.now()
    for (const { browser } of loaded.people) {
      const cookie = browser.cookies.find(SESSION_COOKIE)?.value
      const slot = keySlot(storedSession(`${SESSION_COOKIE}=${cookie}`).keyOf('identity'))
      const shard = Math.floor((slot * 3) / SLOT_COUNT)
      const from = cluster.primaries[shard] as RunningRedis
      await cluster.moveSlot(slot, from, cluster.primaries[(shard + 1) % 3] as RunningRedis)
      await wait(50)
    }
    await loaded.expectUnnoticed('F14 slots moved', sinceMs)
  })

  test('a cluster of one shard serves like a single server', async () => {
    await using cluster = await startCluster({ shards: 1 })
    await using replicas = await startReplicas({
      count: 2,
      settings: { ...settingsFor(cluster.target), REDIS_CACHE_MODE: 'hybrid' },
    })
    await untilWhole(replicas.all)
    const { cookie } = await replicas.signedIn()
    for (const replica of replicas.all) {
      await until(
        'an answer',
        async () => (await replica.check({}, { Cookie: cookie })).status === 200,
      )
      expect(await readHealth(replica)).toMatchObject({ status: 'healthy' })
    }
  })

  test('a plain client at a cluster says so', async () => {
    await using cluster = await startCluster({ shards: 3 })
    const [server] = cluster.target.servers
    await using replicas = await startReplicas({
      settings: settingsFor({
        kind: 'single',
        database: 0,
        ...(server as { host: string; port: number }),
      }),
    })
    await until(
      'a finding',
      async () => (await readHealth(replicas.first)).cache.redis.findings.length > 0,
    )
    expect((await readHealth(replicas.first)).cache.redis.findings).toContainEqual({
      code: 'cluster',
      message: expect.stringContaining('set REDIS_CLUSTER=true') as string,
    })
  })

  test('a cluster client at a plain server says so', async () => {
    await using replicas = await startReplicas({ settings: { REDIS_CLUSTER: 'true' } })
    const said = () => replicas.first.log().find((line) => line['event'] === 'redis_disconnected')
    await until('a line in the log', () => said() !== undefined)
    expect(said()).toMatchObject({
      failure: 'cluster',
      reason: expect.stringContaining(
        'REDIS_CLUSTER is true, but this is not a Redis Cluster',
      ) as string,
    })
  })
})
