import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Command } from '../../../src/redis/client.ts'
import type { RedisTarget, SentinelTarget } from '../../../src/redis/target.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { infoOf, type RunningRedis, startRedis } from '../../support/redis.ts'
import {
  PRIMARY_NAME,
  startWatchedRedis,
  type WatchedRedis,
  type WatchedRedisOptions,
} from '../../support/redis-sentinel.ts'
import * as states from '../../support/redis-state.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import { FOLLOWS_WITHIN_MS, timeTakeover } from '../../support/takeover.ts'

const PROCESSED = 'total_commands_processed:'
const FAILOVER = ['SENTINEL', 'FAILOVER', PRIMARY_NAME] as const

/** Returns the port of the server that a connection leads to. */
async function portOf({ connection }: states.ObservedConnection): Promise<number> {
  const reply = await connection.run(undefined, (client) => client.configGet('port'), 5000)
  return Number(reply['port'])
}

/** Returns whether the write was answered. */
async function write({ connection }: states.ObservedConnection, timeoutMs = 250): Promise<boolean> {
  const key = `vestibule:{${randomUUID()}}`
  return connection
    .run(undefined, (client) => client.set(key, 'x'), timeoutMs)
    .then(
      () => true,
      () => false,
    )
}

/** Returns the ports of the primaries that the reachable Sentinels report. */
async function reportedPorts(sentinels: readonly RunningRedis[]): Promise<readonly number[]> {
  const answers = await Promise.allSettled(
    sentinels.map(({ cli }) => cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', PRIMARY_NAME)),
  )
  return answers.flatMap((answer) =>
    answer.status === 'fulfilled' ? [Number(answer.value.split('\n')[1])] : [],
  )
}

/** Times how a connection leaves the primary at `before`, states.until another server answers writes. */
function timeUntilSwitched(
  opened: states.ObservedConnection,
  { sentinels }: WatchedRedis,
  before: number,
  event: () => Promise<unknown>,
): Promise<number> {
  const isReported = async () => (await reportedPorts(sentinels)).some((port) => port !== before)
  const isWritten = async () =>
    (await portOf(opened).catch(() => before)) !== before && (await write(opened))
  return timeTakeover(event, isReported, isWritten)
}

const watchedTest = test
  .extend('options', {} as WatchedRedisOptions)
  .extend('redis', async ({ options }, { onCleanup }) => {
    const redis = await startWatchedRedis(options)
    onCleanup(redis[Symbol.asyncDispose])
    return redis
  })
  .extend('old', ({ redis }) => redis.servers[0])
  .extend('opened', async ({ redis }, { onCleanup }) => {
    const opened = await states.openConnected(redis.target)
    onCleanup(opened[Symbol.asyncDispose])
    return opened
  })

describeWithRedis('a connection through Sentinels', () => {
  watchedTest('finds the primary by one Sentinel of three', async ({ redis }) => {
    const [first, second] = redis.sentinels
    await first.kill()
    await second.pause()
    // Exceeds the bound below, which a wait for the silent Sentinel would miss.
    await using opened = states.openConnection(redis.target, 20_000)
    const { ownMs } = await timed(opened.connection.firstAttempt)
    expect(ownMs).toBeLessThan(1000 + BUSY_MS)
    expect(await portOf(opened)).toBe(redis.servers[0].port)
    await second.resume()
  })

  watchedTest.for<[string, (redis: WatchedRedis) => Promise<unknown>]>([
    ['an ordered failover', ({ sentinels }) => sentinels[0].cli(...FAILOVER)],
    ['the primary killed', ({ servers }) => servers[0].kill()],
    ['the primary frozen', ({ servers }) => servers[0].pause()],
    [
      'the primary and a Sentinel killed',
      async ({ servers, sentinels }) => {
        await sentinels[0].kill()
        await servers[0].kill()
      },
    ],
  ])('follows %s', async ([, event], { redis, expect }) => {
    await using opened = await states.openConnected(redis.target, 5000)
    const { connection } = opened
    const before = await portOf(opened)
    const set: Command<unknown> = (client) => client.set('kept', 'value')
    expect(await connection.run(undefined, set, 10_000)).toBe('OK')
    await redis.servers[0].cli('WAIT', '2', '10000')
    const followedMs = await timeUntilSwitched(opened, redis, before, () => event(redis))
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    expect(await connection.run(undefined, (client) => client.get('kept'), 10_000)).toBe('value')
    expect(await portOf(opened)).not.toBe(before)
    expect(connection.inFlight).toBe(0)
  })

  watchedTest('leaves a replaced primary at once', async ({ redis, opened, old }) => {
    const isolate = () => redis.isolate(old)
    const followedMs = await timeUntilSwitched(opened, redis, old.port, isolate)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    const report = 'the Sentinels report another primary: 127.0.0.1:'
    expect(opened.reasons).toContain(`${report}${await portOf(opened)}`)
    // Allows for several switches, because the first Sentinel to know may answer late.
    expect(opened.reasons.filter((reason) => !reason.startsWith(report))).toEqual([])
    expect(await old.cli('ROLE'), 'it still takes itself for the primary').toMatch(/^master/)
    await states.until('agreement', async () =>
      (await reportedPorts(redis.sentinels)).every((port) => port !== old.port),
    )
    expect(await write(opened, 10_000)).toBe(true)
    const keysAtOld = await old.cli('DBSIZE')
    for (let round = 0; round < 20; round++) expect(await write(opened, 10_000)).toBe(true)
    expect(await old.cli('DBSIZE'), 'nothing more arrives there').toBe(keysAtOld)
  })

  watchedTest('ignores an outdated Sentinel by its lower epoch', async ({ redis, opened, old }) => {
    await timeUntilSwitched(opened, redis, old.port, () => redis.isolate(old))
    const port = await portOf(opened)
    await states.until('agreement', async () =>
      (await reportedPorts(redis.sentinels)).every((reported) => reported === port),
    )
    // Goes on reporting the old primary, because it knows no other Sentinel.
    await using alone = await startRedis({
      lines: [`sentinel monitor ${PRIMARY_NAME} ${old.host} ${old.port} 1`],
      args: ['--sentinel'],
    })
    await using another = states.openConnection({
      ...redis.target,
      sentinels: [alone, ...redis.sentinels].map(({ host, port }) => ({ host, port })),
    })
    const leads = async () => (await portOf(another).catch(() => undefined)) === port
    await states.until('the new primary', leads, 60_000)
    let own = 0
    /** Counts the commands that the server has processed, without these queries. */
    const asked = async () => {
      own += 1
      return (await infoOf(alone, 'stats', PROCESSED)) - own
    }
    const connected = another.connected()
    // Leaves only the outdated Sentinel to answer.
    for (const sentinel of redis.sentinels) await sentinel.pause()
    const before = await asked()
    await states.until('more questions', async () => (await asked()) >= before + 12)
    expect(another.connected(), 'and stays there').toBe(connected)
    expect(await leads()).toBe(true)
    for (const sentinel of redis.sentinels) await sentinel.resume()
  })

  watchedTest('switches during an attempt at a frozen primary', async ({ redis, old }) => {
    await old.pause()
    await using opened = states.openConnection(redis.target, 30_000)
    await states.until('another primary in a report', async () =>
      (await reportedPorts(redis.sentinels)).some((port) => port !== old.port),
    )
    const { ownMs: followedMs } = await timed(states.untilConnected(opened))
    expect(await portOf(opened)).not.toBe(old.port)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
  })

  watchedTest('keeps the primary while no Sentinel answers', async ({ redis, opened, old }) => {
    for (const sentinel of redis.sentinels) await sentinel.pause()
    await wait(1500)
    expect(await write(opened, 10_000)).toBe(true)
    expect(opened.connected()).toBe(1)
    for (const sentinel of redis.sentinels) await sentinel.resume()
    const failOver = () => redis.sentinels[0].cli(...FAILOVER)
    await timeUntilSwitched(opened, redis, old.port, failOver)
  })

  watchedTest('asks each Sentinel over one connection, a few times a second', async ({ redis }) => {
    const [sentinel] = redis.sentinels
    await using proxy = await startTcpProxy(sentinel.port)
    await using opened = states.openConnection({
      ...redis.target,
      sentinels: [{ host: '127.0.0.1', port: proxy.port }],
    })
    await states.untilConnected(opened)
    const processed = () => infoOf(sentinel, 'stats', PROCESSED)
    const before = await processed()
    const sinceMs = performance.now()
    await wait(2000)
    // Includes what the Sentinels ask each other.
    const perSecond = ((await processed()) - before) / ((performance.now() - sinceMs) / 1000)
    expect(perSecond).toBeLessThan(20)
    expect(proxy.connections()).toBe(1)
    await opened.connection.close()
    await states.until('no connection', () => proxy.connections() === 0)
  })
})

/** Target of an only Sentinel. */
function only({ port }: { readonly port: number }): SentinelTarget {
  const sentinels = [{ host: '127.0.0.1', port }]
  return { kind: 'sentinel', sentinels, primaryName: PRIMARY_NAME, database: 0 }
}

describeWithRedis('a fault in the Sentinel settings is reported', () => {
  test('with its failure and a reason', async () => {
    await using redis = await startWatchedRedis({ sentinelPassword: 'of-the-sentinels' })
    const { sentinelPassword: _, ...withoutPassword } = redis.target
    const cases: readonly (readonly [RedisTarget, failure: string, reason: RegExp | undefined])[] =
      [
        [withoutPassword, 'auth', /check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD/],
        [{ ...redis.target, sentinelPassword: 'wrong' }, 'auth', undefined],
        [
          { ...redis.target, primaryName: 'other' },
          'sentinel',
          /no primary called other: correct REDIS_SENTINEL_MASTER/,
        ],
        [
          only({ port: await steadyPort() }),
          'connection',
          /^no Sentinel can be asked: nothing listens .*REDIS_SENTINEL_ADDRESSES$/,
        ],
        [{ ...redis.target, password: 'wrong' }, 'auth', undefined],
      ]
    for (const [target, failure, reason] of cases) {
      await using opened = await states.tryConnection(target)
      expect(opened.connection.isConnected).toBe(false)
      expect(opened.disconnected).toEqual([failure])
      if (reason) expect(opened.reasons).toEqual([expect.stringMatching(reason)])
    }
    await using good = states.openConnection(redis.target)
    await states.untilConnected(good)
    expect(good.connection.isConnected).toBe(true)
  })

  test('for a reported server that is not a primary', async () => {
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
    await using opened = await states.tryConnection(only(sentinel))
    expect(opened.disconnected).toEqual(['readonly'])
    expect(opened.connection.isConnected).toBe(false)
  })
})
