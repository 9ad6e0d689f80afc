import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keySlot, SLOT_COUNT } from '../../../src/redis/cluster/key-slot.ts'
import type { RedisConnection } from '../../../src/redis/connection.ts'
import { leastUser } from '../../support/least-user.ts'
import { BUSY_MS, watchOwnLag } from '../../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { type RunningCluster, startCluster } from '../../support/redis-cluster.ts'
import * as state from '../../support/redis-state.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import { FOLLOWS_WITHIN_MS, timeTakeover } from '../../support/takeover.ts'

/** Time limit far above the one of a frozen server's connection, because commands for others must not wait for it. */
const OTHERS_TIMEOUT_MS = 10_000

/** Returns a new key in a slot that the shard owns at the start. */
function keyOf(shard: number, shards = 3): string {
  for (;;) {
    const key = `vestibule:{${randomUUID()}}`
    if (Math.floor((keySlot(key) * shards) / SLOT_COUNT) === shard) return key
  }
}

/** Returns three keys in the slot of `key`. */
function keysOfSlot(key: string) {
  return [`${key}:s`, `${key}:t`, `${key}:m`] as const
}

async function write(connection: RedisConnection, key: string, timeoutMs = 10_000) {
  return connection
    .run(key, (client) => client.set(key, 'x'), timeoutMs)
    .then(
      () => 'OK',
      (error: Error) => error.message,
    )
}

function read(connection: RedisConnection, key: string, timeoutMs = 10_000) {
  return connection.run(key, (client) => client.get(key), timeoutMs)
}

/** Waits until the server has a client in a blocking command, and kills its connection. */
async function killBlockedClient({ cli }: RunningRedis): Promise<void> {
  await state.until('a blocked client', async () =>
    (await cli('INFO', 'clients')).includes('blocked_clients:1'),
  )
  await cli('CLIENT', 'KILL', 'TYPE', 'normal')
}

/** Times how a connection follows the replica of the first shard: after a loss, until every shard accepts writes. */
function timeUntilWhole(
  connection: RedisConnection,
  { primaries: { length: shards }, replicas }: RunningCluster,
  event: () => Promise<unknown>,
): Promise<number> {
  let isLost = false
  const isWhole = async () => {
    isLost ||= (await write(connection, keyOf(0, shards), 250)) !== 'OK'
    if (!isLost) return false
    const writes = Array.from({ length: shards }, (_, shard) =>
      write(connection, keyOf(shard, shards), 5000),
    )
    return (await Promise.all(writes)).every((outcome) => outcome === 'OK')
  }
  const [heir] = replicas as [RunningRedis]
  const isTakenOver = async () => (await heir.cli('ROLE')).startsWith('master')
  return timeTakeover(event, isTakenOver, isWhole)
}

/**
 * Repeats writes to some shards and records their outcomes. Subtracts from the slowest the delay of this process and of
 * a PING to `servers`, because other tests share the machine.
 */
function watchShards(
  connection: RedisConnection,
  shards: readonly number[],
  timeoutMs: number,
  servers: readonly RunningRedis[] = [],
) {
  const outcomes = new Set<string>()
  let slowestMs = 0
  let isOver = false
  const since = async (sinceMs: number, work: Promise<unknown>) => {
    await work
    return performance.now() - sinceMs
  }
  const watch = async () => {
    while (!isOver) {
      const lag = watchOwnLag()
      const sinceMs = performance.now()
      const writes = Promise.all(shards.map((shard) => write(connection, keyOf(shard), timeoutMs)))
      const [ms, besideMs] = await Promise.all([
        since(sinceMs, writes),
        since(sinceMs, Promise.all(servers.map(({ cli }) => cli('PING')))),
      ])
      slowestMs = Math.max(slowestMs, ms - Math.max(lag.end(), besideMs))
      for (const outcome of await writes) outcomes.add(outcome)
      await wait(10)
    }
  }
  const watched = watch()
  return {
    end: async () => {
      isOver = true
      await watched
      return { slowestMs, outcomes }
    },
  }
}

describeWithRedis('a connection to a Redis Cluster', () => {
  let redis: RunningCluster
  beforeAll(async () => {
    redis = await startCluster({ shards: 3 })
  })
  afterAll(() => redis[Symbol.asyncDispose]())

  test('computes the slots that Redis does', async () => {
    const [server] = redis.primaries as [RunningRedis]
    const piece = fc.constantFrom('{', '}', 'a', 'vestibule:', 'ä', '🐈', ' ')
    const keys = fc.sample(fc.array(piece, { maxLength: 8 }), 300).map((pieces) => pieces.join(''))
    for (const key of [...keys, '', '{}', '{}{a}', '{a}{b}', '{{a}}', 'a{b', '}a{b}']) {
      expect(keySlot(key), key).toBe(Number(await server.cli('CLUSTER', 'KEYSLOT', key)))
    }
  })

  test('repeats an idempotent command when the connection to one server is lost', async () => {
    await using opened = await state.openConnected(redis.target)
    const { connection } = opened
    const [server] = redis.primaries as [RunningRedis]
    const list = keyOf(0)
    const popped = connection.runRetryable(list, (client) => client.blPop(list, 5), 3000)
    await killBlockedClient(server)
    expect(await write(connection, keyOf(1)), 'the others do not notice').toBe('OK')
    await state.until('the loss', () => opened.disconnected.length === 1)
    await server.cli('RPUSH', list, 'value')
    expect(await popped).toEqual({ key: list, element: 'value' })
    await state.until('a whole cluster', () => opened.connected() === 2)
    const once = connection.run(list, (client) => client.blPop(list, 5), 3000)
    const refused = expect(once).rejects.toMatchObject(state.unavailable('connection'))
    await killBlockedClient(server)
    await refused
  })

  test('follows slots that were moved, and slots during their migration', async () => {
    await using opened = await state.openConnected(redis.target)
    const { connection } = opened
    const [from, to] = redis.primaries as [RunningRedis, RunningRedis]
    const key = keyOf(0)
    const [s, t, m] = keysOfSlot(key)
    const slot = keySlot(key)
    await write(connection, s)
    await redis.moveSlot(slot, from, to, 'half')
    expect(await read(connection, s), 'still here').toBe('x')
    expect(await write(connection, t), 'new, so there').toBe('OK')
    expect(await to.cli('CLUSTER', 'COUNTKEYSINSLOT', `${slot}`)).toBe('1')
    expect(await read(connection, t)).toBe('x')
    const both = connection.run(s, (client) => client.mGet([s, t]), 1000)
    await expect(both, 'neither has both').rejects.toMatchObject(state.unavailable('cluster'))
    const waiting = connection.run(s, (client) => client.mGet([s, t]), 20_000)
    await redis.moveSlot(slot, from, to)
    expect(await waiting, 'some patience').toEqual(['x', 'x'])
    expect(await write(connection, m)).toBe('OK')
    expect(await to.cli('EXISTS', s, t, m)).toBe('3')
    // One command was refused, redirections are none.
    expect(opened.failures).toEqual(['cluster'])
    await redis.moveSlot(slot, to, from)
    expect(await read(connection, s)).toBe('x')
  })

  test('stops after a few redirections between servers that redirect to each other', async () => {
    await using opened = await state.openConnected(redis.target)
    const { connection } = opened
    const [one, other] = redis.primaries as [RunningRedis, RunningRedis]
    const key = keyOf(0)
    const slot = `${keySlot(key)}`
    const idOf = ({ cli }: RunningRedis) => cli('CLUSTER', 'MYID')
    await one.cli('CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(other))
    const statsOf = async ({ cli }: RunningRedis) =>
      Number(/cmdstat_get:.*rejected_calls=(\d+)/.exec(await cli('INFO', 'commandstats'))?.[1] ?? 0)
    const refusals = async () => (await statsOf(one)) + (await statsOf(other))
    const before = await refusals()
    await expect(read(connection, key)).rejects.toMatchObject(state.unavailable('cluster'))
    const asked = (await refusals()) - before
    expect(asked).toBeGreaterThan(2)
    expect(asked).toBeLessThan(10)
    await one.cli('CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(one))
    await state.until('the slot', async () => (await write(connection, key)) === 'OK')
  })

  test('runs the self-test at every primary', async () => {
    const [, second, third] = redis.primaries as [RunningRedis, RunningRedis, RunningRedis]
    await second.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    await third.cli('CONFIG', 'SET', 'maxmemory', '1')
    await using observed = await state.openExamined(redis.target)
    await second.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await third.cli('CONFIG', 'SET', 'maxmemory', '0')
    const [{ findings, evictionPolicy } = { findings: [] }] = observed.examinations
    expect(evictionPolicy).toBe('allkeys-lru')
    const eviction = `127.0.0.1:${second.port}: maxmemory-policy is`
    const message = expect.stringContaining(eviction) as string
    expect(findings).toContainEqual({ code: 'eviction', message })
    const full = expect.stringMatching(`^127.0.0.1:${third.port}: Redis is full`) as string
    expect(findings).toContainEqual({ code: 'full', message: full, stopsSignIn: true })
    expect(findings.map(({ code }) => code)).not.toContain('cluster')
  })

  test('reports a seed node outside a cluster, and uses the others', async () => {
    await using plain = await startRedis()
    const stranger = { host: plain.host, port: plain.port }
    await using opened = await state.tryConnection({ kind: 'cluster', servers: [stranger] })
    expect(opened.disconnected).toEqual(['cluster'])
    expect(opened.reasons).toEqual([
      expect.stringMatching(/^REDIS_CLUSTER is true, but this is not a Redis Cluster/),
    ])
    await expect(read(opened.connection, 'a')).rejects.toMatchObject(
      state.unavailable('connection'),
    )
    for (let round = 0; round < 4; round++) {
      await using other = state.openConnection({
        kind: 'cluster',
        servers: [stranger, { host: '127.0.0.1', port: 1 }, ...redis.target.servers],
      })
      await state.untilConnected(other)
      expect(other.connection.isConnected).toBe(true)
    }
  })
})

describeWithRedis('a Redis Cluster with a failed server', () => {
  test('killed: its slots fail at once until the takeover, the others are served', async () => {
    await using redis = await startCluster({ shards: 3, replicasPerShard: 1 })
    await using opened = await state.openConnected(redis.target, 5000)
    const { connection } = opened
    const kept = keyOf(0)
    await write(connection, kept)
    const [first] = redis.primaries as [RunningRedis]
    const others = watchShards(connection, [1, 2], OTHERS_TIMEOUT_MS, redis.primaries.slice(1))
    const own = watchShards(connection, [0], 250)
    const followedMs = await timeUntilWhole(connection, redis, () => first.kill())
    expect((await own.end()).slowestMs).toBeLessThan(250 + BUSY_MS)
    const { slowestMs, outcomes } = await others.end()
    expect(outcomes).toEqual(new Set(['OK']))
    expect(slowestMs).toBeLessThan(BUSY_MS)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    await state.until('told', () => opened.connected() >= 2)
    // Retries, because the slot map may come from a server that does not know of the takeover yet.
    const keep = () => read(connection, kept).catch(() => undefined)
    await expect.poll(keep, { timeout: 30_000 }).toBe('x')
    await state.until('nothing in flight', () => connection.inFlight === 0)
    expect(new Set(opened.disconnected)).toEqual(new Set(['connection']))
    expect(new Set(opened.reasons)).toEqual(
      new Set([`the primary 127.0.0.1:${first.port} of the cluster cannot be reached`]),
    )
    await state.until('a whole cluster', () => !connection.isPartial)
    await first.restart({ keepData: true })
    await state.until(
      'its new place',
      async () => (await first.cli('ROLE')).startsWith('slave'),
      10_000,
    )
    await wait(1000)
    expect(await read(connection, kept), 'back as a replica').toBe('x')
  })

  test('frozen: the other slots are served, and its replica takes over', async () => {
    await using redis = await startCluster({ shards: 3, replicasPerShard: 1 })
    await using opened = await state.openConnected(redis.target, 30_000)
    const { connection } = opened
    const [first] = redis.primaries as [RunningRedis]
    const others = watchShards(connection, [1, 2], OTHERS_TIMEOUT_MS, redis.primaries.slice(1))
    const followedMs = await timeUntilWhole(connection, redis, () => first.pause())
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    const { slowestMs, outcomes } = await others.end()
    expect(outcomes).toEqual(new Set(['OK']))
    expect(slowestMs).toBeLessThan(BUSY_MS)
    // Allows both, because the server's silence and its new role are noticed in any order.
    expect(['deadline', 'connection']).toContain(opened.disconnected[0])
    await first.resume()
    await state.until('nothing in flight', () => connection.inFlight === 0)
    for (let round = 0; round < 20; round++) {
      expect(await write(connection, keyOf(0))).toBe('OK')
    }
  })

  test('frozen: a new connection serves the other slots', async () => {
    await using redis = await startCluster({ shards: 3 })
    const [first] = redis.primaries as [RunningRedis]
    await first.pause()
    await using opened = await state.openConnected(redis.target, 3000)
    const { connection } = opened
    expect(connection.isConnected).toBe(true)
    expect(connection.isPartial).toBe(true)
    for (const shard of [1, 2]) expect(await write(connection, keyOf(shard))).toBe('OK')
    const asked = read(connection, keyOf(0), 250)
    await expect(asked).rejects.toMatchObject({ code: 'store_unavailable' })
    await first.resume()
    await state.until('a whole cluster', () => opened.connected() >= 2, 10_000)
    // Retries, because Redis refuses writes for a while after others considered it failed.
    await state.until('writes', async () => (await write(connection, keyOf(0))) === 'OK', 10_000)
  })

  test('killed under full coverage: all slots fail, and all are served after the takeover', async () => {
    await using redis = await startCluster({
      shards: 3,
      replicasPerShard: 1,
      args: ['--cluster-require-full-coverage', 'yes'],
    })
    await using opened = await state.openConnected(redis.target)
    const { connection } = opened
    const others = watchShards(connection, [1, 2], OTHERS_TIMEOUT_MS)
    const [first] = redis.primaries as [RunningRedis]
    await timeUntilWhole(connection, redis, () => first.kill())
    const { outcomes } = await others.end()
    expect(outcomes.difference(new Set(['OK', 'Redis: cluster']))).toEqual(new Set())
  })

  test('killed, the only shard: its replica is found though it is no seed node', async () => {
    await using redis = await startCluster({ shards: 1, replicasPerShard: 1 })
    await using opened = state.openConnection(redis.target, 5000)
    await using subscription = state.openConnection(redis.target, 5000, 'subscription')
    await state.untilConnected(opened, subscription)
    const [first] = redis.primaries as [RunningRedis]
    const followedMs = await timeUntilWhole(opened.connection, redis, async () => {
      // A cluster of one shard has no majority that could decide.
      await first.kill()
      await (redis.replicas[0] as RunningRedis).cli('CLUSTER', 'FAILOVER', 'TAKEOVER')
    })
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    await state.until('the subscription', () => subscription.connected() === 2, 10_000)
    expect(opened.disconnected).toEqual(['connection'])
  })

  test('taken out of the cluster: its subscriber subscribes at another server', async () => {
    await using redis = await startCluster({ shards: 3 })
    await using observed = state.openState(redis.target)
    const isHealthy = () => observed.state.backplane.subscription !== undefined
    await state.until('a backplane that is heard', isHealthy)
    // Waits for the end of the self-test, because a server that has keys cannot be taken out.
    await state.until('its examination', () => observed.examinations.length > 0)
    const hasSubscriber = async (server: RunningRedis) =>
      (await server.cli('PUBSUB', 'NUMSUB', 'vestibule:0:events')).endsWith('1')
    const hears = await Promise.all(redis.primaries.map(hasSubscriber))
    const leaving = redis.primaries[hears.indexOf(true)] as RunningRedis
    const [heir] = redis.primaries.filter((server) => server !== leaving) as [RunningRedis]
    await leaving.cli('FLUSHALL')
    await redis.takeOut(leaving, heir)
    // Reads keys of its slots, whose redirections show that the slot map is outdated.
    const ids = Array.from({ length: 30 }, () => randomUUID())
    await Promise.allSettled(ids.map((id) => observed.state.store.read(id, ['identity'])))
    await state.until('deafness', () => !isHealthy())
    await state.until('a backplane that is heard again', isHealthy, 20_000)
    await state.until('the end of the old one', async () => !(await hasSubscriber(leaving)))
  })

  test('killed, the only server: the connection is back after its restart', async () => {
    await using redis = await startCluster({ shards: 1 })
    await using opened = await state.openConnected(redis.target)
    const { connection } = opened
    const [only] = redis.primaries as [RunningRedis]
    await only.kill()
    await state.until('the loss', () => !connection.isConnected)
    await expect(read(connection, 'a')).rejects.toMatchObject(state.unavailable('connection'))
    await only.restart()
    await state.until('a connection', () => opened.connected() === 2)
    // Retries, because Redis refuses writes for two seconds after a start.
    await state.until('writes', async () => (await write(connection, 'a')) === 'OK')
    await connection.close()
    await state.until(
      'no client',
      async () => (await only.cli('CLIENT', 'LIST')).match(/name=vestibule/g) === null,
    )
  })
})

test('a Redis Cluster passes the self-test with the documented user', async () => {
  const users = [`${leastUser('app', 'secret')} +cluster|slots +asking`]
  await using redis = await startCluster({ shards: 3, password: 'of-the-default-user', users })
  const target = { ...redis.target, username: 'app', password: 'secret' }
  await using observed = await state.openExamined(target)
  expect(observed.examinations[0]?.findings).toEqual([])
  for (const { cli } of redis.primaries) await cli('ACL', 'SETUSER', 'app', '-cluster|slots')
  await using refused = await state.tryConnection(target)
  expect(refused.disconnected).toEqual(['permission'])
  expect(refused.reasons).toEqual(['the Redis user lacks +cluster|slots'])
  await using wrong = await state.tryConnection({ ...redis.target, password: 'wrong' })
  expect(wrong.disconnected).toEqual(['auth'])
})
