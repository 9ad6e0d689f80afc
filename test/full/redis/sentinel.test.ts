import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { RedisTarget, SentinelTarget } from '../../../src/redis/target.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { BUSY_MS, timed, watchOwnLag } from '../../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { PRIMARY_NAME, startWatchedRedis, type WatchedRedis } from '../../support/redis-sentinel.ts'
import {
  type ObservedConnection,
  openConnection,
  openState,
  until,
  untilConnected,
} from '../../support/redis-state.ts'

/** The port of the server that a connection leads to. */
const portOf = ({ connection }: ObservedConnection): Promise<number> =>
  connection
    .run(undefined, (client) => client.sendCommand(['CONFIG', 'GET', 'port']), 5000)
    .then((reply) => Number((reply as unknown as { readonly port: string }).port))
const write = ({ connection }: ObservedConnection, timeoutMs = 250): Promise<boolean> =>
  connection
    .run(undefined, (client) => client.set(`vestibule:{${randomUUID()}}`, 'x'), timeoutMs)
    .then(
      () => true,
      () => false,
    )

/** The ports of the primaries that the Sentinels name which can be asked. */
const namedPorts = async (sentinels: readonly RunningRedis[]): Promise<readonly number[]> => {
  const answers = await Promise.allSettled(
    sentinels.map(({ cli }) => cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', PRIMARY_NAME)),
  )
  return answers.flatMap((answer) =>
    answer.status === 'fulfilled' ? [Number(answer.value.split('\n')[1])] : [],
  )
}

/** For which a connection takes, once some Sentinel names the new primary. */
const FOLLOWS_WITHIN_MS = 4000 + BUSY_MS

/** In milliseconds. */
interface Switch {
  /** From the event until writes are answered by another server than before. */
  readonly ms: number
  /** From the first Sentinel that named another primary, but for what this process was kept waiting. How long Sentinels take to agree is their matter. */
  readonly followedMs: number
}

const timeUntilSwitched = async (
  opened: ObservedConnection,
  { sentinels }: WatchedRedis,
  before: number,
  event: () => Promise<unknown>,
): Promise<Switch> => {
  const lag = watchOwnLag()
  const sinceMs = performance.now()
  await event()
  let namedAtMs = Number.NaN
  const watched = until(
    'another primary that is named',
    async () => {
      // Before it is asked: what is measured from then on is no shorter than it was.
      namedAtMs = performance.now()
      return (await namedPorts(sentinels)).some((port) => port !== before)
    },
    60_000,
  )
  await until(
    'writes at another primary',
    async () => {
      const isElsewhere = (await portOf(opened).catch(() => before)) !== before
      return isElsewhere && (await write(opened))
    },
    60_000,
  )
  const switchedAtMs = performance.now()
  await watched
  return {
    ms: switchedAtMs - sinceMs,
    followedMs: Math.max(0, switchedAtMs - namedAtMs - lag.end()),
  }
}
const print = (what: string, ms: number, followedMs: number) =>
  process.stdout.write(
    `Sentinel, ${what}: writes again after ${ms.toFixed(0)} ms, ${followedMs.toFixed(0)} ms after it was named\n`,
  )

describeWithRedis('a connection by way of Sentinels', () => {
  test('leads to the primary, though one Sentinel is away and another one says nothing', async () => {
    await using redis = await startWatchedRedis()
    const [first, second] = redis.sentinels as [RunningRedis, RunningRedis]
    await first.kill()
    await second.pause()
    // Whoever waited for the silent one would wait for as long.
    await using opened = openConnection(redis.target, 20_000)
    const { ownMs } = await timed(opened.connection.firstAttempt)
    expect(ownMs).toBeLessThan(1000 + BUSY_MS)
    expect(await portOf(opened)).toBe(redis.servers[0].port)
    await second.resume()
  })

  test.for<[string, (redis: WatchedRedis) => Promise<unknown>]>([
    [
      'an ordered failover',
      ({ sentinels }) => (sentinels[0] as RunningRedis).cli('SENTINEL', 'FAILOVER', PRIMARY_NAME),
    ],
    ['the primary killed', ({ servers }) => servers[0].kill()],
    ['the primary frozen', ({ servers }) => servers[0].pause()],
    [
      'the primary and a Sentinel killed',
      async ({ servers, sentinels }) => {
        await (sentinels[0] as RunningRedis).kill()
        await servers[0].kill()
      },
    ],
  ])('follows %s', async ([what, event], { expect }) => {
    await using redis = await startWatchedRedis()
    await using opened = openConnection(redis.target, 5000)
    const { connection } = opened
    await untilConnected(opened)
    const before = await portOf(opened)
    expect(await connection.run(undefined, (client) => client.set('kept', 'value'), 10_000)).toBe(
      'OK',
    )
    await redis.servers[0].cli('WAIT', '2', '10000')
    const { ms, followedMs } = await timeUntilSwitched(opened, redis, before, () => event(redis))
    print(what, ms, followedMs)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    expect(await connection.run(undefined, (client) => client.get('kept'), 10_000)).toBe('value')
    expect(await portOf(opened)).not.toBe(before)
    expect(connection.inFlight).toBe(0)
  })

  test('a primary that is replaced while it still answers is left at once', async () => {
    await using redis = await startWatchedRedis()
    await using opened = openConnection(redis.target)
    await untilConnected(opened)
    const [old] = redis.servers
    const { ms, followedMs } = await timeUntilSwitched(opened, redis, old.port, () =>
      redis.isolate(old),
    )
    print('split brain', ms, followedMs)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    const named = 'the Sentinels report another primary: 127.0.0.1:'
    expect(opened.reasons).toContain(`${named}${await portOf(opened)}`)
    // More than once where the Sentinel that knew it first was kept waiting.
    expect(opened.reasons.filter((reason) => !reason.startsWith(named))).toEqual([])
    expect(await old.cli('ROLE'), 'it still takes itself for the primary').toMatch(/^master/)
    await until('agreement', async () =>
      (await namedPorts(redis.sentinels)).every((port) => port !== old.port),
    )
    expect(await write(opened, 10_000)).toBe(true)
    const keysAtOld = await old.cli('DBSIZE')
    for (let round = 0; round < 20; round++) expect(await write(opened, 10_000)).toBe(true)
    expect(await old.cli('DBSIZE'), 'nothing more arrives there').toBe(keysAtOld)
  })

  test('a Sentinel that has not heard of the new primary is outvoted by its epoch', async () => {
    await using redis = await startWatchedRedis()
    await using opened = openConnection(redis.target)
    await untilConnected(opened)
    const [old] = redis.servers
    await timeUntilSwitched(opened, redis, old.port, () => redis.isolate(old))
    const port = await portOf(opened)
    await until('agreement', async () =>
      (await namedPorts(redis.sentinels)).every((named) => named === port),
    )
    // Cut off from its fellows it goes on naming the old primary.
    await using alone = await startRedis({
      port: await steadyPort(),
      lines: [`sentinel monitor ${PRIMARY_NAME} ${old.host} ${old.port} 1`],
      args: ['--sentinel'],
    })
    await using another = openConnection({
      ...redis.target,
      sentinels: [alone, ...redis.sentinels].map(({ host, port }) => ({ host, port })),
    })
    const leads = async () => (await portOf(another).catch(() => undefined)) === port
    await until('the new primary', leads, 60_000)
    let own = 0
    /** Counts the commands that the server has processed, without these queries. */
    const asked = async () => {
      own += 1
      const stats = await alone.cli('INFO', 'stats')
      return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]) - own
    }
    const connected = another.connected()
    // Now it is the only one that answers.
    for (const sentinel of redis.sentinels) await sentinel.pause()
    const before = await asked()
    await until('more questions', async () => (await asked()) >= before + 12)
    expect(another.connected(), 'and stays there').toBe(connected)
    expect(await leads()).toBe(true)
    for (const sentinel of redis.sentinels) await sentinel.resume()
  })

  test('an attempt at a frozen primary does not hold up the switch', async () => {
    await using redis = await startWatchedRedis()
    const [old] = redis.servers
    await old.pause()
    await using opened = openConnection(redis.target, 30_000)
    const sinceMs = performance.now()
    await until(
      'another primary that is named',
      async () => (await namedPorts(redis.sentinels)).some((port) => port !== old.port),
      20_000,
    )
    const { ownMs: followedMs } = await timed(
      until('a connection', () => opened.connection.isConnected, 60_000),
    )
    print('started while the primary is frozen', performance.now() - sinceMs, followedMs)
    expect(await portOf(opened)).not.toBe(old.port)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
  })

  test('Sentinels that go away take no primary with them, and come back by themselves', async () => {
    await using redis = await startWatchedRedis()
    await using opened = openConnection(redis.target)
    await untilConnected(opened)
    for (const sentinel of redis.sentinels) await sentinel.pause()
    await wait(1500)
    expect(await write(opened, 10_000)).toBe(true)
    expect(opened.connected()).toBe(1)
    for (const sentinel of redis.sentinels) await sentinel.resume()
    const [old] = redis.servers
    await timeUntilSwitched(opened, redis, old.port, () =>
      (redis.sentinels[0] as RunningRedis).cli('SENTINEL', 'FAILOVER', PRIMARY_NAME),
    )
  })

  test('the Sentinels are asked with moderation: a connection to each, some questions a second', async () => {
    await using redis = await startWatchedRedis()
    const [sentinel] = redis.sentinels as [RunningRedis]
    await using proxy = await startTcpProxy(sentinel.port)
    await using opened = openConnection({
      ...redis.target,
      sentinels: [{ host: '127.0.0.1', port: proxy.port }],
    })
    await untilConnected(opened)
    const processed = async () =>
      Number(/total_commands_processed:(\d+)/.exec(await sentinel.cli('INFO', 'stats'))?.[1])
    const before = await processed()
    const sinceMs = performance.now()
    await wait(2000)
    // What the Sentinels ask each other included.
    const perSecond = ((await processed()) - before) / ((performance.now() - sinceMs) / 1000)
    expect(perSecond).toBeLessThan(20)
    expect(proxy.connections()).toBe(1)
    await opened.connection.close()
    await until('no connection', () => proxy.connections() === 0)
  })

  test('a subscription hears what is published at the primary, also after a failover', async () => {
    await using redis = await startWatchedRedis()
    await using commands = openConnection(redis.target)
    await using subscription = openConnection(redis.target, 2000, 'subscription')
    const heard: string[] = []
    const subscribe = () =>
      subscription.connection.run(
        undefined,
        (client) => client.subscribe('news', (text) => heard.push(text)),
        10_000,
      )
    const publish = (text: string) =>
      commands.connection.run(undefined, (client) => client.publish('news', text), 10_000)
    await untilConnected(commands, subscription)
    await subscribe()
    expect(await publish('one')).toBe(1)
    await until('one', () => heard.includes('one'))
    const [old] = redis.servers
    await timeUntilSwitched(commands, redis, old.port, () => old.kill())
    await until('the subscription', () => subscription.connected() >= 2, 60_000)
    // One may still lead to a server that is about to step down.
    await until('two', async () => {
      await subscribe().catch(() => undefined)
      await publish('two').catch(() => undefined)
      return heard.includes('two')
    })
  })
})

describeWithRedis('what is wrong with Sentinels is told', () => {
  test('by class and reason', async () => {
    await using redis = await startWatchedRedis({ sentinelPassword: 'of-the-sentinels' })
    const { sentinelPassword: _, ...withoutPassword } = redis.target
    const sentinelAt = (port: number): SentinelTarget => ({
      ...redis.target,
      sentinels: [{ host: '127.0.0.1', port }],
    })
    const cases: readonly (readonly [RedisTarget, failure: string, reason: RegExp | undefined])[] =
      [
        [withoutPassword, 'auth', /check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD/],
        [{ ...redis.target, sentinelPassword: 'wrong' }, 'auth', undefined],
        [
          { ...redis.target, primaryName: 'other' },
          'sentinel',
          /no primary called other: correct REDIS_SENTINEL_MASTER/,
        ],
        [sentinelAt(await steadyPort()), 'connection', undefined],
        [{ ...redis.target, password: 'wrong' }, 'auth', undefined],
      ]
    for (const [target, failure, reason] of cases) {
      await using opened = openConnection(target)
      await opened.connection.firstAttempt
      expect(opened.connection.isConnected).toBe(false)
      expect(opened.disconnected).toEqual([failure])
      if (reason) expect(opened.reasons).toEqual([expect.stringMatching(reason)])
    }
    await using good = openConnection(redis.target)
    await untilConnected(good)
    expect(good.connection.isConnected).toBe(true)
  })

  test('a plain server in their place', async () => {
    await using redis = await startRedis()
    await using opened = openConnection({
      kind: 'sentinel',
      sentinels: [{ host: redis.host, port: redis.port }],
      primaryName: PRIMARY_NAME,
      database: 0,
    })
    await opened.connection.firstAttempt
    expect(opened.disconnected).toEqual(['sentinel'])
    expect(opened.reasons).toEqual([
      expect.stringMatching(/REDIS_SENTINEL_ADDRESSES leads to a server that is not a Sentinel/),
    ])
  })

  test('a server that they name and that is no primary', async () => {
    await using primary = await startRedis()
    await using replica = await startRedis({
      args: ['--replicaof', '127.0.0.1', `${primary.port}`],
    })
    await using sentinel = await startRedis({
      lines: [
        `sentinel monitor ${PRIMARY_NAME} 127.0.0.1 ${replica.port} 1`,
        `sentinel down-after-milliseconds ${PRIMARY_NAME} 60000`,
      ],
      args: ['--sentinel'],
    })
    await using opened = openConnection({
      kind: 'sentinel',
      sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
      primaryName: PRIMARY_NAME,
      database: 0,
    })
    await opened.connection.firstAttempt
    expect(opened.disconnected).toEqual(['readonly'])
    expect(opened.connection.isConnected).toBe(false)
  })
})

test('a Sentinel at a plain address is found out', async () => {
  await using sentinel = await startRedis({ args: ['--sentinel'] })
  await using observed = openState(sentinel)
  await until('an examination', () => observed.examinations.length > 0)
  expect(observed.examinations[0]?.findings).toEqual([
    { code: 'sentinel', message: expect.stringContaining('REDIS_SENTINEL_MASTER') as string },
  ])
})
