import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { keySlot, SLOT_COUNT } from '../../../src/redis/cluster/key-slot.ts'
import type { RedisTarget } from '../../../src/redis/target.ts'
import {
  expectUnnoticed,
  signInPeople,
  startFleetLoad,
  untilWhole,
} from '../../support/fleet-load.ts'
import {
  countEvents,
  readHealth,
  signOut,
  statusAt,
  statusesAt,
  untilEvent,
} from '../../support/outage.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import type { RunningRedis } from '../../support/redis.ts'
import { type RunningCluster, startCluster } from '../../support/redis-cluster.ts'
import { PRIMARY_NAME, startWatchedRedis, type WatchedRedis } from '../../support/redis-sentinel.ts'
import { settingsFor } from '../../support/redis-settings.ts'
import { type ObservedState, openState } from '../../support/redis-state.ts'
import { describeWithRedis, HYBRID, startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Replicas over a Redis that something happens to, and people who go on using them meanwhile. */
type LoadedFleet = Awaited<ReturnType<typeof startLoadedFleet>>

const USERS = Array.from({ length: 10 }, (_, at) => `user-${at}`)
const LATER_USERS = Array.from({ length: 8 }, (_, at) => `later-${at}`)
const REPLICAS = 4
const BACK_WITHIN_MS = 90_000

async function startLoadedFleet(target: RedisTarget) {
  await using stack = new AsyncDisposableStack()
  const fleet = stack.use(
    await startReplicas({
      count: REPLICAS,
      settings: { ...settingsFor(target), ...HYBRID },
      provider: { users: [...USERS, ...LATER_USERS].map((sub) => ({ sub })) },
    }),
  )
  await untilWhole(fleet.all)
  const people = await signInPeople(fleet, USERS)
  const load = await startFleetLoad(fleet.all, people)
  stack.defer(async () => void (await load.stop()))
  await load.warm()
  await load.more(100)
  const kept = stack.move()
  const canSignIn = () =>
    signInPeople(fleet, LATER_USERS).then(
      () => true,
      () => false,
    )
  return {
    fleet,
    people,
    expectUnnoticed: async (): Promise<void> => {
      await until('a sign-in', canSignIn, BACK_WITHIN_MS)
      await untilWhole(fleet.all)
      await load.more(100)
      expectUnnoticed(await load.stop())
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

function lossesAt(replica: RunningVestibule) {
  return replica.log().filter(({ event }) => event === 'redis_disconnected')
}

const TTL_MS = 60_000
const MAX_LAG_SECONDS = 1

/** Moves the slot of each person's session to the next primary. */
async function moveSlots({ primaries, moveSlot }: RunningCluster, { people }: LoadedFleet) {
  for (const { browser } of people) {
    const cookie = browser.cookies.find(SESSION_COOKIE)?.value
    const slot = keySlot(storedSession(`${SESSION_COOKIE}=${cookie}`).keyOf('identity'))
    const shard = Math.floor((slot * 3) / SLOT_COUNT)
    const [from, to] = [primaries[shard], primaries[(shard + 1) % 3]]
    await moveSlot(slot, from as RunningRedis, to as RunningRedis)
    await wait(50)
  }
}

async function isolatePrimary(redis: WatchedRedis): Promise<void> {
  const [old] = redis.servers
  await redis.isolate(old)
  await until('another primary', async () => (await redis.primaryPort()) !== old.port, 60_000)
}

const clusterEvents: readonly (readonly [
  what: string,
  replicasPerShard: 0 | 1,
  event: (cluster: RunningCluster, loaded: LoadedFleet) => Promise<unknown>,
])[] = [
  ['F14 a primary is killed', 1, ({ primaries }) => (primaries[1] as RunningRedis).kill()],
  ['F14 slots are moved', 0, moveSlots],
]

const sentinelEvents: readonly (readonly [
  what: string,
  event: (redis: WatchedRedis) => Promise<unknown>,
])[] = [
  [
    'F15 a failover is ordered',
    ({ sentinels }) => sentinels[0].cli('SENTINEL', 'FAILOVER', PRIMARY_NAME),
  ],
  ['F15 the primary is killed', ({ servers }) => servers[0].kill()],
  ['F15 the primary is frozen', ({ servers }) => servers[0].pause()],
  ['F17 the old primary is isolated', isolatePrimary],
]

describeWithRedis('F14, F15, F17 a failover under load', () => {
  test.for(clusterEvents)('%s: no user notices', async ([, replicasPerShard, event]) => {
    await using cluster = await startCluster({ shards: 3, replicasPerShard })
    await using loaded = await startLoadedFleet(cluster.target)
    await event(cluster, loaded)
    await loaded.expectUnnoticed()
    const lost = `the primary 127.0.0.1:${cluster.primaries[1]?.port} of the cluster cannot be reached`
    const reasons = loaded.fleet.all.flatMap(lossesAt).map(({ reason }) => reason)
    expect(new Set(reasons)).toEqual(new Set(replicasPerShard === 1 ? [lost] : []))
  })

  test.for(sentinelEvents)('%s by Sentinel: no user notices', async ([, event]) => {
    await using redis = await startWatchedRedis()
    await using loaded = await startLoadedFleet(redis.target)
    await event(redis)
    await loaded.expectUnnoticed()
    if (event !== isolatePrimary) return
    expect(await redis.servers[0].cli('ROLE'), 'two primaries').toMatch(/^master/)
  })
})

describeWithRedis('F14 Redis Cluster', () => {
  test('a cluster of one shard serves like a single server', async () => {
    await using cluster = await startCluster({ shards: 1 })
    const settings = { ...settingsFor(cluster.target), ...HYBRID }
    await using replicas = await startReplicas({ count: 2, settings })
    await untilWhole(replicas.all)
    const { cookie } = await replicas.signedIn()
    for (const replica of replicas.all) {
      await until('an answer', async () => (await statusAt(replica, cookie)) === 200)
      expect(await readHealth(replica)).toMatchObject({ status: 'healthy' })
      expect(countEvents(replica, 'redis_finding')).toBe(0)
    }
  })

  test('a plain client at a cluster has a finding', async () => {
    await using cluster = await startCluster({ shards: 3 })
    const { host, port } = cluster.target.servers[0] as { host: string; port: number }
    const settings = settingsFor({ kind: 'single', database: 0, host, port })
    await using replicas = await startReplicas({ settings })
    const findings = async () => (await readHealth(replicas.first)).cache.redis.findings
    await until('a finding', async () => (await findings()).length > 0)
    const message = expect.stringContaining('set REDIS_CLUSTER=true') as string
    expect(await findings()).toContainEqual({ code: 'cluster', message })
  })

  test.for([
    [
      { REDIS_CLUSTER: 'true' },
      'cluster',
      'REDIS_CLUSTER is true, but this is not a Redis Cluster',
    ],
    [
      { REDIS_SENTINEL_MASTER: PRIMARY_NAME, REDIS_ADDRESS: '' },
      'sentinel',
      'REDIS_SENTINEL_ADDRESSES leads to a server that is not a Sentinel',
    ],
  ] as const)(
    'a plain server with %o is logged once, with the setting to change',
    async ([settings, failure, mistake]) => {
      await using replicas = await startReplicas({ count: 0 })
      const REDIS_SENTINEL_ADDRESSES = `127.0.0.1:${replicas.redis.port}`
      const replica = await replicas.add({
        ...settings,
        ...(failure === 'sentinel' && { REDIS_SENTINEL_ADDRESSES }),
      })
      await untilEvent(replica, 'redis_disconnected')
      expect(lossesAt(replica)).toMatchObject([
        { failure, reason: expect.stringContaining(mistake) as string },
      ])
    },
  )
})

/** Makes writes that the primary alone has, and loses them with it. */
async function loseWrites(redis: WatchedRedis, write: () => Promise<unknown>): Promise<void> {
  const [primary] = redis.servers
  // WAIT covers all that the same connection has written, and so all that was written before.
  await primary.cli('SET', 'the-last-that-is-copied', '1', 'PX', '60000')
  expect(await primary.cli('WAIT', '2', '10000')).toBe('2')
  await redis.isolate(primary)
  await write()
  await primary.kill()
  await until('another primary', async () => (await redis.primaryPort()) !== primary.port, 20_000)
}

function consume({ state }: ObservedState, key: string): Promise<boolean> {
  return state.oneTimeKeys.consume({ kind: 'bearer', key, attemptId: randomUUID() }, TTL_MS)
}

/** Whether a mark is new; a write that fails counts as `undefined`. */
function tryConsume(at: ObservedState, key: string): Promise<boolean | undefined> {
  return consume(at, key).catch(() => undefined)
}

describeWithRedis('F16 a write is lost at a failover', () => {
  test('the end of a session that no replica of Redis had copied is written again, also for new replicas', async () => {
    await using redis = await startWatchedRedis()
    const settings = { ...settingsFor(redis.target), ...HYBRID }
    await using fleet = await startReplicas({ count: 2, settings })
    await untilWhole(fleet.all)
    const { browser, cookie } = await fleet.signedIn()
    await loseWrites(redis, async () => expect((await signOut(browser)).status).toBe(303))
    await untilWhole(fleet.all, 20_000)
    expect(await statusesAt(fleet.all, cookie)).toEqual([302, 302])

    const primaryPort = await redis.primaryPort()
    const primary = redis.servers.find(({ port }) => port === primaryPort)
    const key = storedSession(cookie).keyOf('identity')
    const isEnded = async () => (await primary?.cli('EXISTS', key)) === '0'
    await until('F16 the new primary has the end', isEnded, 20_000)
    const fresh = await fleet.add()
    await until('a refusal', async () => (await statusAt(fresh, cookie)) === 302)
  })

  test('the bound: a mark that no replica of Redis had copied is lost, and a copied one is not', async () => {
    await using redis = await startWatchedRedis()
    await using opened = openState(redis.target)
    await until('a connection', () => opened.redis.isConnected)
    expect(await consume(opened, 'copied')).toBe(true)
    await loseWrites(redis, async () => expect(await consume(opened, 'not copied')).toBe(true))
    const isWritten = async () => (await tryConsume(opened, randomUUID())) !== undefined
    await until('writes', isWritten, 20_000)
    expect(await consume(opened, 'copied')).toBe(false)
    expect(await consume(opened, 'not copied'), 'as docs/redis.md says').toBe(true)
  })
})

describeWithRedis('F17 two servers both act as the primary', () => {
  test('the bound: the old one refuses writes once its replicas are silent for min-replicas-max-lag', async () => {
    await using redis = await startWatchedRedis()
    const [old] = redis.servers
    await old.cli('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await old.cli('CONFIG', 'SET', 'min-replicas-max-lag', `${MAX_LAG_SECONDS}`)
    const { password = '' } = redis.target
    const { host, port } = old
    await using stuck = openState({ kind: 'single', host, port, database: 0, password })
    await using watching = openState(redis.target)
    await until('connections', () => stuck.redis.isConnected && watching.redis.isConnected)
    expect(await consume(stuck, 'before')).toBe(true)
    expect(await consume(watching, 'before')).toBe(false)

    await redis.isolate(old)
    const isRefused = async () => (await tryConsume(stuck, randomUUID())) === undefined
    const { ownMs } = await timed(until('a refusal', isRefused, 60_000))
    // Redis checks the lag each second, in whole seconds.
    expect(ownMs).toBeLessThan((MAX_LAG_SECONDS + 2) * 1000 + BUSY_MS)
    expect(stuck.failures).toContain('replication')
    const isFirst = async () => (await tryConsume(watching, 'after')) === true
    await until('writes at the new primary', isFirst, 60_000)
    await expect(consume(stuck, 'after')).rejects.toThrow()
    expect(await consume(watching, 'before')).toBe(false)
  })
})
