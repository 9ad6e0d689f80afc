import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Command } from '../../../src/redis/client.ts'
import type { RedisTarget, SentinelTarget } from '../../../src/redis/target.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { BUSY_MS, timed, watchOwnLag } from '../../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { PRIMARY_NAME, startWatchedRedis, type WatchedRedis } from '../../support/redis-sentinel.ts'
import * as state from '../../support/redis-state.ts'

/** Time within which a connection follows once some Sentinel reports the new primary. */
const FOLLOWS_WITHIN_MS = 4000 + BUSY_MS
const FAILOVER = ['SENTINEL', 'FAILOVER', PRIMARY_NAME] as const

/** Returns the port of the server that a connection leads to. */
async function portOf({ connection }: state.ObservedConnection): Promise<number> {
  const reply = await connection.run(undefined, (client) => client.configGet('port'), 5000)
  return Number(reply['port'])
}

/** Returns whether the write was answered. */
async function write({ connection }: state.ObservedConnection, timeoutMs = 250): Promise<boolean> {
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

/**
 * Returns the milliseconds state.until another server answers writes: from the event, and from the first Sentinel that reports
 * another primary, without the delay of this process.
 */
async function timeUntilSwitched(
  opened: state.ObservedConnection,
  { sentinels }: WatchedRedis,
  before: number,
  event: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly followedMs: number }> {
  const lag = watchOwnLag()
  const sinceMs = performance.now()
  await event()
  let reportedAtMs = Number.NaN
  const watched = state.until(
    'another primary in a report',
    async () => {
      // Takes the time before the query, so that the result is never too short.
      reportedAtMs = performance.now()
      return (await reportedPorts(sentinels)).some((port) => port !== before)
    },
    60_000,
  )
  await state.until(
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
    followedMs: Math.max(0, switchedAtMs - reportedAtMs - lag.end()),
  }
}

function print(what: string, ms: number, followedMs: number) {
  process.stdout.write(
    `Sentinel, ${what}: writes again after ${ms.toFixed(0)} ms, ${followedMs.toFixed(0)} ms after the report\n`,
  )
}

describeWithRedis('a connection through Sentinels', () => {
  test('leads to the primary though one Sentinel is down and another silent', async () => {
    await using redis = await startWatchedRedis()
    const [first, second] = redis.sentinels as [RunningRedis, RunningRedis]
    await first.kill()
    await second.pause()
    // Exceeds the bound below, which a wait for the silent Sentinel would miss.
    await using opened = state.openConnection(redis.target, 20_000)
    const { ownMs } = await timed(opened.connection.firstAttempt)
    expect(ownMs).toBeLessThan(1000 + BUSY_MS)
    expect(await portOf(opened)).toBe(redis.servers[0].port)
    await second.resume()
  })

  test.for<[string, (redis: WatchedRedis) => Promise<unknown>]>([
    ['an ordered failover', ({ sentinels }) => (sentinels[0] as RunningRedis).cli(...FAILOVER)],
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
    await using opened = await state.openConnected(redis.target, 5000)
    const { connection } = opened
    const before = await portOf(opened)
    const set: Command<unknown> = (client) => client.set('kept', 'value')
    expect(await connection.run(undefined, set, 10_000)).toBe('OK')
    await redis.servers[0].cli('WAIT', '2', '10000')
    const { ms, followedMs } = await timeUntilSwitched(opened, redis, before, () => event(redis))
    print(what, ms, followedMs)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    expect(await connection.run(undefined, (client) => client.get('kept'), 10_000)).toBe('value')
    expect(await portOf(opened)).not.toBe(before)
    expect(connection.inFlight).toBe(0)
  })

  test('leaves at once a replaced primary that still answers', async () => {
    await using redis = await startWatchedRedis()
    await using opened = await state.openConnected(redis.target)
    const [old] = redis.servers
    const { ms, followedMs } = await timeUntilSwitched(opened, redis, old.port, () =>
      redis.isolate(old),
    )
    print('split brain', ms, followedMs)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
    const report = 'the Sentinels report another primary: 127.0.0.1:'
    expect(opened.reasons).toContain(`${report}${await portOf(opened)}`)
    // Allows for several switches, because the first Sentinel to know may answer late.
    expect(opened.reasons.filter((reason) => !reason.startsWith(report))).toEqual([])
    expect(await old.cli('ROLE'), 'it still takes itself for the primary').toMatch(/^master/)
    await state.until('agreement', async () =>
      (await reportedPorts(redis.sentinels)).every((port) => port !== old.port),
    )
    expect(await write(opened, 10_000)).toBe(true)
    const keysAtOld = await old.cli('DBSIZE')
    for (let round = 0; round < 20; round++) expect(await write(opened, 10_000)).toBe(true)
    expect(await old.cli('DBSIZE'), 'nothing more arrives there').toBe(keysAtOld)
  })

  test('ignores an outdated Sentinel by its lower epoch', async () => {
    await using redis = await startWatchedRedis()
    await using opened = await state.openConnected(redis.target)
    const [old] = redis.servers
    await timeUntilSwitched(opened, redis, old.port, () => redis.isolate(old))
    const port = await portOf(opened)
    await state.until('agreement', async () =>
      (await reportedPorts(redis.sentinels)).every((reported) => reported === port),
    )
    // Goes on reporting the old primary, because it knows no other Sentinel.
    await using alone = await startRedis({
      port: await steadyPort(),
      lines: [`sentinel monitor ${PRIMARY_NAME} ${old.host} ${old.port} 1`],
      args: ['--sentinel'],
    })
    await using another = state.openConnection({
      ...redis.target,
      sentinels: [alone, ...redis.sentinels].map(({ host, port }) => ({ host, port })),
    })
    const leads = async () => (await portOf(another).catch(() => undefined)) === port
    await state.until('the new primary', leads, 60_000)
    let own = 0
    /** Counts the commands that the server has processed, without these queries. */
    const asked = async () => {
      own += 1
      const stats = await alone.cli('INFO', 'stats')
      return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]) - own
    }
    const connected = another.connected()
    // Leaves only the outdated Sentinel to answer.
    for (const sentinel of redis.sentinels) await sentinel.pause()
    const before = await asked()
    await state.until('more questions', async () => (await asked()) >= before + 12)
    expect(another.connected(), 'and stays there').toBe(connected)
    expect(await leads()).toBe(true)
    for (const sentinel of redis.sentinels) await sentinel.resume()
  })

  test('switches during an attempt at a frozen primary', async () => {
    await using redis = await startWatchedRedis()
    const [old] = redis.servers
    await old.pause()
    await using opened = state.openConnection(redis.target, 30_000)
    const sinceMs = performance.now()
    await state.until(
      'another primary in a report',
      async () => (await reportedPorts(redis.sentinels)).some((port) => port !== old.port),
      20_000,
    )
    const { ownMs: followedMs } = await timed(
      state.until('a connection', () => opened.connection.isConnected, 60_000),
    )
    print('started while the primary is frozen', performance.now() - sinceMs, followedMs)
    expect(await portOf(opened)).not.toBe(old.port)
    expect(followedMs).toBeLessThan(FOLLOWS_WITHIN_MS)
  })

  test('keeps the primary while no Sentinel answers, and follows them afterwards', async () => {
    await using redis = await startWatchedRedis()
    await using opened = await state.openConnected(redis.target)
    for (const sentinel of redis.sentinels) await sentinel.pause()
    await wait(1500)
    expect(await write(opened, 10_000)).toBe(true)
    expect(opened.connected()).toBe(1)
    for (const sentinel of redis.sentinels) await sentinel.resume()
    const [old] = redis.servers
    await timeUntilSwitched(opened, redis, old.port, () =>
      (redis.sentinels[0] as RunningRedis).cli(...FAILOVER),
    )
  })

  test('asks each Sentinel over one connection, a few times a second', async () => {
    await using redis = await startWatchedRedis()
    const [sentinel] = redis.sentinels as [RunningRedis]
    await using proxy = await startTcpProxy(sentinel.port)
    await using opened = state.openConnection({
      ...redis.target,
      sentinels: [{ host: '127.0.0.1', port: proxy.port }],
    })
    await state.untilConnected(opened)
    const processed = async () =>
      Number(/total_commands_processed:(\d+)/.exec(await sentinel.cli('INFO', 'stats'))?.[1])
    const before = await processed()
    const sinceMs = performance.now()
    await wait(2000)
    // Includes what the Sentinels ask each other.
    const perSecond = ((await processed()) - before) / ((performance.now() - sinceMs) / 1000)
    expect(perSecond).toBeLessThan(20)
    expect(proxy.connections()).toBe(1)
    await opened.connection.close()
    await state.until('no connection', () => proxy.connections() === 0)
  })

  test('receives with a subscription what is published, also after a failover', async () => {
    await using redis = await startWatchedRedis()
    await using commands = state.openConnection(redis.target)
    await using subscription = state.openConnection(redis.target, 2000, 'subscription')
    const received: string[] = []
    const subscribe = () =>
      subscription.connection.run(
        undefined,
        (client) => client.subscribe('news', (text) => received.push(text)),
        10_000,
      )
    const publish = (text: string) =>
      commands.connection.run(undefined, (client) => client.publish('news', text), 10_000)
    await state.untilConnected(commands, subscription)
    await subscribe()
    expect(await publish('one')).toBe(1)
    await state.until('one', () => received.includes('one'))
    const [old] = redis.servers
    await timeUntilSwitched(commands, redis, old.port, () => old.kill())
    await state.until('the subscription', () => subscription.connected() >= 2, 60_000)
    // Retries, because a connection may still lead to a server that is about to step down.
    await state.until('two', async () => {
      await subscribe().catch(() => undefined)
      await publish('two').catch(() => undefined)
      return received.includes('two')
    })
  })
})

describeWithRedis('a fault in the Sentinel settings is reported', () => {
  test('with its failure and a reason', async () => {
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
      await using opened = await state.tryConnection(target)
      expect(opened.connection.isConnected).toBe(false)
      expect(opened.disconnected).toEqual([failure])
      if (reason) expect(opened.reasons).toEqual([expect.stringMatching(reason)])
    }
    await using good = state.openConnection(redis.target)
    await state.untilConnected(good)
    expect(good.connection.isConnected).toBe(true)
  })

  test('for a plain server in the place of a Sentinel', async () => {
    await using redis = await startRedis()
    await using opened = await state.tryConnection({
      kind: 'sentinel',
      sentinels: [{ host: redis.host, port: redis.port }],
      primaryName: PRIMARY_NAME,
      database: 0,
    })
    expect(opened.disconnected).toEqual(['sentinel'])
    expect(opened.reasons).toEqual([
      expect.stringMatching(/REDIS_SENTINEL_ADDRESSES leads to a server that is not a Sentinel/),
    ])
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
    await using opened = await state.tryConnection({
      kind: 'sentinel',
      sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
      primaryName: PRIMARY_NAME,
      database: 0,
    })
    expect(opened.disconnected).toEqual(['readonly'])
    expect(opened.connection.isConnected).toBe(false)
  })
})

test('a Sentinel at the address of a plain Redis is found by the self-test', async () => {
  await using sentinel = await startRedis({ args: ['--sentinel'] })
  await using observed = await state.openExamined(sentinel)
  expect(observed.examinations[0]?.findings).toEqual([
    { code: 'sentinel', message: expect.stringContaining('REDIS_SENTINEL_MASTER') as string },
  ])
})
