import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keySlot, SLOT_COUNT } from '../../../src/redis/cluster/key-slot.ts'
import type { RedisConnection } from '../../../src/redis/connection.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { leastUser } from '../../support/least-user.ts'
import { BUSY_MS, watchOwnLag } from '../../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { type RunningCluster, startCluster } from '../../support/redis-cluster.ts'
import { openConnection, openState, until, untilConnected } from '../../support/redis-state.ts'

const unavailable = (failure: string) => ({
  code: 'store_unavailable',
  message: `Redis: ${failure}`,
})

/** A key whose slot a shard has at the start. */
const keyOf = (shard: number, shards = 3): string => {
  for (;;) {
    const key = `vestibule:{${randomUUID()}}`
    if (Math.floor((keySlot(key) * shards) / SLOT_COUNT) === shard) return key
  }
}
/** Keys that follow each other into one slot. */
const keysOfSlot = (key: string) => [`${key}:s`, `${key}:t`, `${key}:m`] as const

const write = (connection: RedisConnection, key: string, timeoutMs = 10_000): Promise<string> =>
  connection
    .run(key, (client) => client.set(key, 'x'), timeoutMs)
    .then(
      () => 'OK',
      (error: Error) => error.message,
    )
const read = (connection: RedisConnection, key: string, timeoutMs = 10_000) =>
  connection.run(key, (client) => client.get(key), timeoutMs)

/** Far more than the connection of a frozen server is given: nobody is to wait for that. */
const OTHERS_TIMEOUT_MS = 10_000
/** For which a connection takes, once the replica of a primary has taken over. */
const FOLLOWS_WITHIN_MS = 4000 + BUSY_MS

/**
 * Milliseconds from the event until every shard takes writes, and from when the replica of the first shard has taken over:
 * how long servers take to agree on that is their matter.
 */
const timeUntilWhole = async (
  connection: RedisConnection,
  { primaries: { length: shards }, replicas }: RunningCluster,
  event: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly followedMs: number }> => {
  const lag = watchOwnLag()
  const sinceMs = performance.now()
  await event()
  let takenOverAtMs = Number.NaN
  const watched = until(
    'a replica that has taken over',
    async () => {
      // Before it is asked: what is measured from then on is no shorter than it was.
      takenOverAtMs = performance.now()
      return (await (replicas[0] as RunningRedis).cli('ROLE')).startsWith('master')
    },
    60_000,
  )
  await until('a loss', async () => (await write(connection, keyOf(0, shards), 250)) !== 'OK')
  const isWhole = async () => {
    const writes = Array.from({ length: shards }, (_, shard) =>
      write(connection, keyOf(shard, shards), 5000),
    )
    return (await Promise.all(writes)).every((outcome) => outcome === 'OK')
  }
  await until('writes at every shard', isWhole, 60_000)
  const wholeAtMs = performance.now()
  await watched
  return { ms: wholeAtMs - sinceMs, followedMs: Math.max(0, wholeAtMs - takenOverAtMs - lag.end()) }
}
/**
 * Writes again and again to the slots of some shards, and remembers what came of it. The slowest is told without the time
 * for which this process itself was kept waiting, or the servers that are asked beside it without the connection: other
 * tests share the machine.
 */
const watchShards = (
  connection: RedisConnection,
  shards: readonly number[],
  timeoutMs: number,
  servers: readonly RunningRedis[] = [],
) => {
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
const print = (what: string, { ms, followedMs }: Awaited<ReturnType<typeof timeUntilWhole>>) =>
  process.stdout.write(
    `Cluster, ${what}: writes again after ${ms.toFixed(0)} ms, ${followedMs.toFixed(0)} ms after the replica had taken over\n`,
  )

describeWithRedis('a connection to a Redis Cluster', () => {
  let redis: RunningCluster
  beforeAll(async () => {
    redis = await startCluster({ shards: 3 })
  })
  afterAll(() => redis[Symbol.asyncDispose]())

  test('counts slots as Redis does', async () => {
    const [server] = redis.primaries as [RunningRedis]
    const piece = fc.constantFrom('{', '}', 'a', 'vestibule:', 'ä', '🐈', ' ')
    const keys = fc.sample(fc.array(piece, { maxLength: 8 }), 300).map((pieces) => pieces.join(''))
    for (const key of [...keys, '', '{}', '{}{a}', '{a}{b}', '{{a}}', 'a{b', '}a{b}']) {
      expect(keySlot(key), key).toBe(Number(await server.cli('CLUSTER', 'KEYSLOT', key)))
    }
  })

  test('sends each command where its key is, whatever its form', async () => {
    await using opened = openConnection(redis.target)
    const { connection } = opened
    await untilConnected(opened)
    for (const [shard, server] of redis.primaries.entries()) {
      const key = keyOf(shard)
      const [s, t, m] = keysOfSlot(key)
      const answers = await connection.run(
        s,
        (client, binary) =>
          Promise.all([
            client.set(s, 'one', { expiration: { type: 'PX', value: 60_000 } }),
            client.eval("return redis.call('SET', KEYS[2], ARGV[1])", {
              keys: [s, t],
              arguments: [Buffer.from('two')],
            }),
            client.pExpire(s, 50_000),
            client.zRem(m, 'nothing'),
            binary.get(s),
            binary.mGet([s, t, m]),
            client.publish('nobody', 'hears'),
          ]),
        1000,
      )
      const [one, two] = [Buffer.from('one'), Buffer.from('two')]
      expect(answers).toEqual(['OK', 'OK', 1, 0, one, [one, two, null], 0])
      expect(await server.cli('GET', s)).toBe('one')
    }
    expect(opened.failures).toEqual([])
    expect(opened.connected()).toBe(1)
  })

  test('asks for an answer again where the connection to one server was lost', async () => {
    await using opened = openConnection(redis.target)
    const { connection } = opened
    await until('a connection', () => opened.connected() === 1)
    const [server] = redis.primaries as [RunningRedis]
    const list = keyOf(0)
    const popped = connection.runRetryable(list, (client) => client.blPop(list, 5), 3000)
    await until('a blocked client', async () =>
      (await server.cli('INFO', 'clients')).includes('blocked_clients:1'),
    )
    await server.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    expect(await write(connection, keyOf(1)), 'the others do not notice').toBe('OK')
    await until('the loss', () => opened.disconnected.length === 1)
    await server.cli('RPUSH', list, 'value')
    expect(await popped).toEqual({ key: list, element: 'value' })
    await until('a whole cluster', () => opened.connected() === 2)
    const once = connection.run(list, (client) => client.blPop(list, 5), 3000)
    const refused = expect(once).rejects.toMatchObject(unavailable('connection'))
    await until('a blocked client', async () =>
      (await server.cli('INFO', 'clients')).includes('blocked_clients:1'),
    )
    await server.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    await refused
  })

  test('follows slots that are moved, and those that are under way', async () => {
    await using opened = openConnection(redis.target)
    const { connection } = opened
    await until('a connection', () => opened.connected() === 1)
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
    await expect(both, 'neither has both').rejects.toMatchObject(unavailable('cluster'))
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

  test('does not follow servers that send it to each other for ever', async () => {
    await using opened = openConnection(redis.target)
    const { connection } = opened
    await until('a connection', () => opened.connected() === 1)
    const [one, other] = redis.primaries as [RunningRedis, RunningRedis]
    const key = keyOf(0)
    const slot = `${keySlot(key)}`
    const idOf = ({ cli }: RunningRedis) => cli('CLUSTER', 'MYID')
    await one.cli('CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(other))
    const statsOf = async ({ cli }: RunningRedis) =>
      Number(/cmdstat_get:.*rejected_calls=(\d+)/.exec(await cli('INFO', 'commandstats'))?.[1] ?? 0)
    const refusals = async () => (await statsOf(one)) + (await statsOf(other))
    const before = await refusals()
    await expect(read(connection, key)).rejects.toMatchObject(unavailable('cluster'))
    const asked = (await refusals()) - before
    expect(asked).toBeGreaterThan(2)
    expect(asked).toBeLessThan(10)
    await one.cli('CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(one))
    await until('the slot', async () => (await write(connection, key)) === 'OK')
  })

  test('a subscription hears what is published at any server', async () => {
    await using commands = openConnection(redis.target)
    await using subscription = openConnection(redis.target, 2000, 'subscription')
    await untilConnected(commands, subscription)
    const heard = new Set<string>()
    await subscription.connection.run(
      undefined,
      (client) => client.subscribe('news', (text) => heard.add(text)),
      1000,
    )
    expect(await subscription.connection.run(undefined, (client) => client.ping(), 10_000)).toBe(
      'PONG',
    )
    for (let count = 0; count < 12; count++) {
      await commands.connection.run(
        undefined,
        (client) => client.publish('news', `${count}`),
        10_000,
      )
    }
    await until('all of it', () => heard.size === 12)
  })

  test('is examined at every primary', async () => {
    const [, second, third] = redis.primaries as [RunningRedis, RunningRedis, RunningRedis]
    await second.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    await third.cli('CONFIG', 'SET', 'maxmemory', '1')
    await using observed = openState(redis.target)
    await until('an examination', () => observed.examinations.length > 0)
    await second.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await third.cli('CONFIG', 'SET', 'maxmemory', '0')
    const [{ findings, evictionPolicy } = { findings: [] }] = observed.examinations
    expect(evictionPolicy).toBe('allkeys-lru')
    expect(findings).toContainEqual({
      code: 'eviction',
      message: expect.stringContaining(`127.0.0.1:${second.port}: maxmemory-policy is`) as string,
    })
    expect(findings).toContainEqual({
      code: 'refused',
      message: `127.0.0.1:${third.port}: SET is refused: full`,
    })
    expect(findings.map(({ code }) => code)).not.toContain('cluster')
  })

  test('a plain client there is told to be one', async () => {
    const [server] = redis.primaries as [RunningRedis]
    await using opened = openConnection({ port: server.port })
    await untilConnected(opened)
    const asked = read(opened.connection, keyOf(1))
    await expect(asked).rejects.toMatchObject(unavailable('cluster'))
  })

  test('what is no server of a cluster is told, and passed over', async () => {
    await using plain = await startRedis()
    const stranger = { host: plain.host, port: plain.port }
    await using opened = openConnection({ kind: 'cluster', servers: [stranger] })
    await opened.connection.firstAttempt
    expect(opened.disconnected).toEqual(['cluster'])
    expect(opened.reasons).toEqual([
      expect.stringMatching(/^REDIS_CLUSTER is true, but this is not a Redis Cluster/),
    ])
    await expect(read(opened.connection, 'a')).rejects.toMatchObject(unavailable('connection'))
    for (let round = 0; round < 4; round++) {
      await using other = openConnection({
        kind: 'cluster',
        servers: [stranger, { host: '127.0.0.1', port: 1 }, ...redis.target.servers],
      })
      await untilConnected(other)
      expect(other.connection.isConnected).toBe(true)
    }
  })
})

describeWithRedis('a Redis Cluster where a server fails', () => {
  test('killed: its slots fail at once until its replica has taken over, the others go on', async () => {
    await using redis = await startCluster({ shards: 3, replicasPerShard: 1 })
    await using opened = openConnection(redis.target, 5000)
    const { connection } = opened
    await until('a connection', () => opened.connected() === 1)
    const kept = keyOf(0)
    await write(connection, kept)
    const [first] = redis.primaries as [RunningRedis]
    const others = watchShards(connection, [1, 2], OTHERS_TIMEOUT_MS, redis.primaries.slice(1))
    const own = watchShards(connection, [0], 250)
    const took = await timeUntilWhole(connection, redis, () => first.kill())
    print('a primary killed', took)
    expect((await own.end()).slowestMs).toBeLessThan(250 + BUSY_MS)
    const { slowestMs, outcomes } = await others.end()
    expect(outcomes).toEqual(new Set(['OK']))
    expect(slowestMs).toBeLessThan(BUSY_MS)
    expect(took.followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    await until('told', () => opened.connected() >= 2)
    // A server that has not heard of its new neighbour yet may be the next one asked about the slots.
    let found: unknown
    await until('a read', async () => {
      found = await read(connection, kept).catch(() => undefined)
      return found !== undefined
    })
    expect(found).toBe('x')
    await until('nothing in flight', () => connection.inFlight === 0)
    expect(new Set(opened.disconnected)).toEqual(new Set(['connection']))
    expect(new Set(opened.reasons)).toEqual(
      new Set([`the primary 127.0.0.1:${first.port} of the cluster cannot be reached`]),
    )
    await until('a whole cluster', () => !connection.isPartial)
    await first.restart({ keepData: true })
    await until('its new place', async () => (await first.cli('ROLE')).startsWith('slave'), 10_000)
    await wait(1000)
    expect(await read(connection, kept), 'back as a replica').toBe('x')
  })

  test('frozen: the others do not notice, and it is replaced', async () => {
    await using redis = await startCluster({ shards: 3, replicasPerShard: 1 })
    await using opened = openConnection(redis.target, 30_000)
    const { connection } = opened
    await until('a connection', () => opened.connected() === 1)
    const [first] = redis.primaries as [RunningRedis]
    const others = watchShards(connection, [1, 2], OTHERS_TIMEOUT_MS, redis.primaries.slice(1))
    const took = await timeUntilWhole(connection, redis, () => first.pause())
    print('a primary frozen', took)
    expect(took.followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    const { slowestMs, outcomes } = await others.end()
    expect(outcomes).toEqual(new Set(['OK']))
    expect(slowestMs).toBeLessThan(BUSY_MS)
    // Whichever comes first: its silence, or the servers that know it as a replica by now.
    expect(['deadline', 'connection']).toContain(opened.disconnected[0])
    await first.resume()
    await until('nothing in flight', () => connection.inFlight === 0)
    for (let round = 0; round < 20; round++) {
      expect(await write(connection, keyOf(0))).toBe('OK')
    }
  })

  test('while it is frozen, a new connection serves the other slots', async () => {
    await using redis = await startCluster({ shards: 3 })
    const [first] = redis.primaries as [RunningRedis]
    await first.pause()
    await using opened = openConnection(redis.target, 3000)
    const { connection } = opened
    await untilConnected(opened)
    expect(connection.isConnected).toBe(true)
    expect(connection.isPartial).toBe(true)
    for (const shard of [1, 2]) expect(await write(connection, keyOf(shard))).toBe('OK')
    const asked = read(connection, keyOf(0), 250)
    await expect(asked).rejects.toMatchObject({ code: 'store_unavailable' })
    await first.resume()
    await until('a whole cluster', () => opened.connected() >= 2, 10_000)
    // Redis itself refuses writes for a while where others took it for lost.
    await until('writes', async () => (await write(connection, keyOf(0))) === 'OK', 10_000)
  })

  test('killed, where Redis wants all slots or none: all fail, and come back by themselves', async () => {
    await using redis = await startCluster({
      shards: 3,
      replicasPerShard: 1,
      args: ['--cluster-require-full-coverage', 'yes'],
    })
    await using opened = openConnection(redis.target)
    const { connection } = opened
    await until('a connection', () => opened.connected() === 1)
    const others = watchShards(connection, [1, 2], OTHERS_TIMEOUT_MS)
    const [first] = redis.primaries as [RunningRedis]
    const took = await timeUntilWhole(connection, redis, () => first.kill())
    print('a primary killed, all slots or none', took)
    const { outcomes } = await others.end()
    expect(outcomes.difference(new Set(['OK', 'Redis: cluster']))).toEqual(new Set())
  })

  test('the only shard, killed: its replica is found though no setting names it', async () => {
    await using redis = await startCluster({ shards: 1, replicasPerShard: 1 })
    await using opened = openConnection(redis.target, 5000)
    await using subscription = openConnection(redis.target, 5000, 'subscription')
    await until('a connection', () => opened.connected() === 1)
    const [first] = redis.primaries as [RunningRedis]
    const took = await timeUntilWhole(opened.connection, redis, async () => {
      // A cluster of one shard has no majority that could decide.
      await first.kill()
      await (redis.replicas[0] as RunningRedis).cli('CLUSTER', 'FAILOVER', 'TAKEOVER')
    })
    print('the only primary killed, its replica told to take over', took)
    expect(took.followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    await until('the subscription', () => subscription.connected() === 2, 10_000)
    expect(opened.disconnected).toEqual(['connection'])
  })

  test('taken out of the cluster with a subscriber, which then looks for another server', async () => {
    await using redis = await startCluster({ shards: 3 })
    await using observed = openState(redis.target)
    const isHealthy = () => observed.state.backplane.epoch !== undefined
    await until('a backplane that is heard', isHealthy)
    // A server with a key, even for a moment, cannot be taken out.
    await until('its examination', () => observed.examinations.length > 0)
    const hasSubscriber = async (server: RunningRedis) =>
      (await server.cli('PUBSUB', 'NUMSUB', 'vestibule:0:events')).endsWith('1')
    const hears = await Promise.all(redis.primaries.map(hasSubscriber))
    const leaving = redis.primaries[hears.indexOf(true)] as RunningRedis
    const [heir] = redis.primaries.filter((server) => server !== leaving) as [RunningRedis]
    await leaving.cli('FLUSHALL')
    await redis.takeOut(leaving, heir)
    // Whoever asks for what it had learns of it.
    const asked = Array.from({ length: 30 }, () =>
      observed.state.store.read(randomUUID(), ['identity']),
    )
    await Promise.allSettled(asked)
    await until('deafness', () => !isHealthy())
    const sinceMs = performance.now()
    await until('a backplane that is heard again', isHealthy, 20_000)
    const ms = performance.now() - sinceMs
    process.stdout.write(
      `Cluster, the server of the subscription taken out: deaf for ${ms.toFixed(0)} ms\n`,
    )
    await until('the end of the old one', async () => !(await hasSubscriber(leaving)))
  })

  test('all of them, killed and started again', async () => {
    await using redis = await startCluster({ shards: 1 })
    await using opened = openConnection(redis.target)
    const { connection } = opened
    await until('a connection', () => opened.connected() === 1)
    const [only] = redis.primaries as [RunningRedis]
    await only.kill()
    await until('the loss', () => !connection.isConnected)
    await expect(read(connection, 'a')).rejects.toMatchObject(unavailable('connection'))
    await only.restart()
    await until('a connection', () => opened.connected() === 2)
    // Redis itself refuses writes for two seconds after a start.
    await until('writes', async () => (await write(connection, 'a')) === 'OK')
    await connection.close()
    await until(
      'no client',
      async () => (await only.cli('CLIENT', 'LIST')).match(/name=vestibule/g) === null,
    )
  })
})

test('a Redis Cluster with a user that may do only what is documented', async () => {
  const users = [`${leastUser('app', 'secret')} +cluster|slots +asking`]
  await using redis = await startCluster({ shards: 3, password: 'of-the-default-user', users })
  await using observed = openState({ ...redis.target, username: 'app', password: 'secret' })
  await until('an examination', () => observed.examinations.length > 0)
  expect(observed.examinations[0]?.findings).toEqual([])
  for (const server of redis.primaries) {
    await server.cli('ACL', 'SETUSER', 'app', '-cluster|slots')
  }
  await using refused = openConnection({ ...redis.target, username: 'app', password: 'secret' })
  await refused.connection.firstAttempt
  expect(refused.disconnected).toEqual(['permission'])
  expect(refused.reasons).toEqual(['the Redis user lacks +cluster|slots'])
  await using wrong = openConnection({ ...redis.target, password: 'wrong' })
  await wrong.connection.firstAttempt
  expect(wrong.disconnected).toEqual(['auth'])
})
