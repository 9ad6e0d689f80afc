import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Command } from '../../../src/redis/client.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { watchOwnLag } from '../../support/own-lag.ts'
import { startRedis } from '../../support/redis.ts'
import {
  echo,
  type ObservedState,
  openConnected,
  openConnection,
  openExamined,
  openState,
  unavailable,
  until,
  untilDataKnown,
} from '../../support/redis-state.ts'
import { redisTest } from '../../support/redis-test.ts'

const DEADLINE = unavailable('deadline')
const UNAVAILABLE = { code: DEADLINE.code }

/** Allowance for a slow machine, which leaves the bounds tight enough to tell seconds from minutes. */
const BUSY_MS = 1000
/** Time without a reply after which a connection is dropped. */
const STALLED_AFTER_MS = 2000
/** Time without a heartbeat after which a subscription counts as broken. */
const BROKEN_AFTER_MS = 3000
const HEARTBEAT_MS = 1000

interface Timed {
  readonly value?: unknown
  readonly error?: unknown
  /** `ms` without the delay of this process. */
  readonly ownMs: number
  readonly ms: number
}

async function settled(work: Promise<unknown>): Promise<Omit<Timed, 'ownMs'>> {
  const sinceMs = performance.now()
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  return { ...outcome, ms: performance.now() - sinceMs }
}

async function timed(work: Promise<unknown>): Promise<Timed> {
  const lag = watchOwnLag()
  const outcome = await settled(work)
  return { ...outcome, ownMs: outcome.ms - lag.end() }
}

describeWithRedis('a frozen server', () => {
  test('lets commands time out as their callers ask, and answers again later', async () => {
    await using redis = await startRedis()
    await using opened = await openConnected(redis)
    const { connection } = opened
    const timeouts = [100, 250, 500]
    await redis.pause()
    const given = await Promise.all(timeouts.map((ms) => timed(echo(opened, 'x', ms))))
    await redis.resume()
    for (const [index, timeoutMs] of timeouts.entries()) {
      const { error, ms, ownMs } = given[index] as Timed
      expect(error).toMatchObject(UNAVAILABLE)
      expect(ms).toBeGreaterThanOrEqual(timeoutMs)
      expect(ownMs).toBeLessThan(timeoutMs + BUSY_MS)
    }
    await until('an answer', async () => (await timed(echo(opened, 'again'))).value === 'again')
    expect(connection.inFlight).toBe(0)
  })

  redisTest('never has its late replies taken for those of other commands', async ({ redis }) => {
    await using opened = await openConnected(redis)
    for (let round = 0; round < 5; round += 1) {
      await redis.pause()
      const late = Array.from({ length: 50 }, () => timed(echo(opened, randomUUID(), 60)))
      const outcomes = await Promise.all(late)
      expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
      const values = Array.from({ length: 50 }, () => randomUUID())
      const answers = values.map((value) => timed(echo(opened, value, 1500)))
      await redis.resume()
      for (const [index, { value }] of (await Promise.all(answers)).entries()) {
        // Accepts `undefined` too, because this process may have been delayed for longer than a connection is kept.
        expect([values[index], undefined]).toContain(value)
      }
      await until('an answer', async () => 'value' in (await timed(echo(opened, 'x'))))
    }
  })

  test('loses its connection after two seconds, with all commands in flight', async () => {
    await using redis = await startRedis()
    await using opened = await openConnected(redis, 300)
    const { connection } = opened
    await redis.pause()
    const pending = Array.from({ length: 20 }, () => timed(echo(opened, 'x', 30_000)))
    for (const { error, ms, ownMs } of await Promise.all(pending)) {
      expect(error).toMatchObject(UNAVAILABLE)
      expect(ms).toBeGreaterThan(STALLED_AFTER_MS - 100)
      expect(ownMs).toBeLessThan(STALLED_AFTER_MS + BUSY_MS)
    }
    expect(opened.disconnected).toEqual(['deadline'])
    expect(connection.inFlight).toBe(0)
    await redis.resume()
    await until('a connection', () => connection.isConnected)
    expect(await echo(opened, 'again', 10_000)).toBe('again')
  })

  test('that accepts connections ends the attempt at the connect timeout', async () => {
    await using redis = await startRedis()
    await redis.pause()
    await using opened = openConnection(redis, 300)
    const { ms, ownMs } = await timed(opened.connection.firstAttempt)
    expect(ms).toBeGreaterThanOrEqual(290)
    expect(ownMs).toBeLessThan(300 + BUSY_MS)
    expect(opened.disconnected).toEqual(['deadline'])
    await redis.resume()
    await until('a connection', () => opened.connection.isConnected)
  })

  redisTest('gets an idempotent command once only', async ({ redis }) => {
    await using opened = await openConnected(redis)
    const { connection } = opened
    await redis.pause()
    const counted = connection.runRetryable('counter', (client) => client.incr('counter'), 200)
    await expect(counted).rejects.toMatchObject(UNAVAILABLE)
    await redis.resume()
    await until('an answer', async () => 'value' in (await timed(echo(opened, 'x'))))
    expect(Number(await redis.cli('GET', 'counter'))).toBeLessThanOrEqual(1)
  })

  test('costs bounded memory: commands beyond the queue are refused at once', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = await openConnected(proxy)
    await redis.pause()
    const timeoutMs = 400
    const outcomes = await Promise.all(
      Array.from({ length: 12_000 }, () => settled(echo(opened, 'x'.repeat(100), timeoutMs))),
    )
    expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
    const hasTimedOut = ({ error }: { readonly error?: unknown }) =>
      (error as Error).message === DEADLINE.message
    const timedOut = outcomes.filter(hasTimedOut)
    expect(timedOut.length, 'some are refused at once').toBeLessThan(outcomes.length)
    expect(timedOut.filter(({ ms }) => ms < timeoutMs)).toEqual([])
    await redis.resume()
    await until('an answer', async () => (await settled(echo(opened, 'y'))).value === 'y')
  })

  test('has idempotent commands refused at once, too, and none sent after its deadline', async () => {
    await using redis = await startRedis()
    await using opened = await openConnected(redis)
    const { connection } = opened
    await redis.pause()
    const timeoutMs = 1200
    const filling = Array.from({ length: 10_000 }, () => settled(echo(opened, 'x', timeoutMs)))
    const sentAfterMs: number[] = []
    const refused = Array.from({ length: 100 }, () => {
      const sinceMs = performance.now()
      const increment: Command<number> = (client) => {
        sentAfterMs.push(performance.now() - sinceMs)
        return client.incr('counter')
      }
      return settled(connection.runRetryable(undefined, increment, timeoutMs))
    })
    const outcomes = await Promise.all(refused)
    await Promise.all(filling)
    await redis.resume()
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ error: UNAVAILABLE })
      expect(outcome).not.toMatchObject({ error: DEADLINE })
    }
    expect(Math.max(...sentAfterMs), 'the last time that one was sent').toBeLessThan(timeoutMs)
  })

  redisTest('opens the breaker by deadlines, and closes it by a late reply', async ({ redis }) => {
    // Switches the health loop off, so that only a late reply can close the breaker.
    await using observed = await openExamined(redis, { timeoutMs: 100, isHealthChecked: false })
    const { store } = observed.state
    const read = () =>
      store.read('nobody', ['identity']).then(
        () => 'done',
        (cause: Error) => cause.message,
      )
    await redis.pause()
    const reads = await Promise.all(Array.from({ length: 5 }, read))
    expect(reads).toEqual(Array(5).fill('Redis: deadline'))
    expect(await read()).toBe('Redis: breaker')
    await redis.resume()
    await until('its end', () => observed.redis.breakers.read.state === 'closed', 10_000)
    await until('a read', async () => (await read()) === 'done')
  })

  redisTest('does not count as other data after the outage', async ({ redis }) => {
    await using a = openState(redis, { healthIntervalMs: 1000, timeoutMs: 200 })
    await untilDataKnown(a.redis)
    const isNamed = async () => (await redis.cli('EXISTS', 'vestibule:{dataset}')) === '1'
    await until('a name of the data', isNamed)
    await redis.pause()
    await wait(STALLED_AFTER_MS + BUSY_MS)
    await redis.resume()
    await until('an answer', async () => (await a.redis.measureLatency()) !== undefined)
    const asked = async () =>
      Number(/cmdstat_set:calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats'))?.[1])
    const before = await asked()
    await until('two questions more', async () => (await asked()) >= before + 2)
    expect(a.datasetChanges()).toBe(0)
  })
})

describeWithRedis('a silent subscription', () => {
  const CHANNEL = 'vestibule:0:events'
  /** Matches what only a subscriber to the channel has sent. */
  const SUBSCRIBER = /\r\nsubscribe\r\n\$\d+\r\nvestibule:0:events\r\n/i
  const isHealthy = ({ state }: ObservedState) => state.backplane.epoch !== undefined
  const untilHealthy = (...states: readonly ObservedState[]) =>
    until('healthy backplanes', () => states.every(isHealthy))
  const received = ({ messages }: ObservedState) =>
    messages.filter(({ type }) => type !== 'self-test')
  const untilSilent = (observed: ObservedState) =>
    timed(until('the silence', () => !isHealthy(observed)))
  const NOTICED_WITHIN_MS = BROKEN_AFTER_MS + HEARTBEAT_MS + BUSY_MS

  test('counts as broken on its open connection when heartbeats are refused', async () => {
    await using redis = await startRedis()
    await using a = await openExamined(redis)
    await untilHealthy(a)
    const before = a.state.backplane.epoch
    await redis.cli('ACL', 'SETUSER', 'default', '-publish')
    expect((await untilSilent(a)).ownMs).toBeLessThan(NOTICED_WITHIN_MS)
    await redis.cli('ACL', 'SETUSER', 'default', '+publish')
    await untilHealthy(a)
    // Keeps its epoch, because the subscription lasted and no message was lost.
    expect(a.state.backplane.epoch).toBe(before)
    expect(await redis.cli('PUBSUB', 'NUMSUB', CHANNEL)).toBe(`${CHANNEL}\n1`)
  })

  test('is noticed and replaced when nothing is delivered on its connection', async () => {
    await using redis = await startRedis()
    await using network = await startTcpProxy(redis.port)
    await using a = openState(network)
    await using b = openState(redis)
    await untilHealthy(a, b)
    const before = a.state.backplane.epoch
    const flow = network.muffle(SUBSCRIBER)
    const [{ ownMs }] = await Promise.all([
      untilSilent(a),
      b.state.backplane.publish({ type: 'evict', session: 'missed' }),
    ])
    expect(ownMs).toBeLessThan(NOTICED_WITHIN_MS)
    const healed = await timed(until('the next subscription', () => isHealthy(a)))
    expect(healed.ownMs).toBeLessThan(2 * BROKEN_AFTER_MS)
    process.stdout.write(
      `half-open subscriber: noticed after ${ownMs.toFixed(0)} ms, healed ${healed.ownMs.toFixed(0)} ms later\n`,
    )
    expect(a.state.backplane.epoch).not.toBe(before)
    expect(received(a)).toEqual([])
    await b.state.backplane.publish({ type: 'evict', session: 'received' })
    await until('a message', () => received(a).length > 0)
    flow()
    await b.state.backplane.publish({ type: 'evict', session: 'last' })
    await until('the last message', () => received(a).length > 1)
    expect(received(a)).toMatchObject([{ session: 'received' }, { session: 'last' }])
    expect(isHealthy(a)).toBe(true)
  })

  test('delays no command, because commands have a connection of their own', async () => {
    await using redis = await startRedis()
    await using network = await startTcpProxy(redis.port)
    await using a = openState(network)
    await untilHealthy(a)
    network.muffle(SUBSCRIBER, 'present and later')
    await until('the silence', () => !isHealthy(a))
    for (let count = 0; count < 20; count += 1) {
      expect(await a.state.store.read('nobody', ['identity'])).toEqual({ identity: undefined })
    }
    expect(a.breakerChanges).toEqual([])
    expect(a.redis).toMatchObject({ isConnected: true, isBackplaneHealthy: false })
  })
})
