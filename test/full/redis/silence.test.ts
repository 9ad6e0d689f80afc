import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { RedisConnection } from '../../../src/redis/connection.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { watchOwnLag } from '../../support/own-lag.ts'
import { startRedis } from '../../support/redis.ts'
import {
  type ObservedState,
  openConnection,
  openState,
  until,
  untilConnected,
  untilDataKnown,
} from '../../support/redis-state.ts'

const UNAVAILABLE = { code: 'store_unavailable' }
const DEADLINE = { ...UNAVAILABLE, message: 'Redis: deadline' }

/** A second beside what the product takes: the bounds tell seconds from minutes, and not the speed of a machine. */
const BUSY_MS = 1000
/** The product keeps a connection for as long without an answer. */
const STALLED_AFTER_MS = 2000
/** The product takes a subscription for heard for as long after a heartbeat, and beats each second. */
const BROKEN_AFTER_MS = 3000
const HEARTBEAT_MS = 1000

const echo = (connection: RedisConnection, value: string, timeoutMs = 1000) =>
  connection.run(undefined, (client) => client.echo(value), timeoutMs)

interface Timed {
  readonly value?: unknown
  readonly error?: unknown
  /** Without the time for which this process itself was kept waiting, in which nothing could be noticed. */
  readonly ownMs: number
  readonly ms: number
}

const settled = async (work: Promise<unknown>): Promise<Omit<Timed, 'ownMs'>> => {
  const sinceMs = performance.now()
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  return { ...outcome, ms: performance.now() - sinceMs }
}
const timed = async (work: Promise<unknown>): Promise<Timed> => {
  const lag = watchOwnLag()
  const outcome = await settled(work)
  return { ...outcome, ownMs: outcome.ms - lag.end() }
}

describeWithRedis('a server that is frozen', () => {
  test('is given up within the time that a caller has, and answers again when it goes on', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await untilConnected(opened)
    const timeouts = [100, 250, 500]
    await redis.pause()
    const given = await Promise.all(timeouts.map((ms) => timed(echo(connection, 'x', ms))))
    await redis.resume()
    for (const [index, { error, ms, ownMs }] of given.entries()) {
      const timeoutMs = timeouts[index] as number
      expect(error).toMatchObject(UNAVAILABLE)
      expect(ms).toBeGreaterThanOrEqual(timeoutMs)
      expect(ownMs).toBeLessThan(timeoutMs + BUSY_MS)
    }
    await until('an answer', async () => {
      const { value } = await timed(echo(connection, 'again'))
      return value === 'again'
    })
    expect(connection.inFlight).toBe(0)
  })

  test('and its late replies never reach another command', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await untilConnected(opened)
    for (let round = 0; round < 5; round += 1) {
      await redis.pause()
      const late = Array.from({ length: 50 }, () => timed(echo(connection, randomUUID(), 60)))
      const outcomes = await Promise.all(late)
      expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
      const values = Array.from({ length: 50 }, () => randomUUID())
      const answers = values.map((value) => timed(echo(connection, value, 1500)))
      await redis.resume()
      for (const [index, { value }] of (await Promise.all(answers)).entries()) {
        // Accepts `undefined` too, because this process may have been delayed for longer than a connection is kept.
        expect([values[index], undefined]).toContain(value)
      }
      await until('an answer', async () => 'value' in (await timed(echo(connection, 'x'))))
    }
  })

  test('loses its connection after two seconds, and nothing stays in flight', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis, 300)
    const { connection } = opened
    await untilConnected(opened)
    await redis.pause()
    const pending = Array.from({ length: 20 }, () => timed(echo(connection, 'x', 30_000)))
    for (const { error, ms, ownMs } of await Promise.all(pending)) {
      expect(error).toMatchObject(UNAVAILABLE)
      expect(ms).toBeGreaterThan(STALLED_AFTER_MS - 100)
      expect(ownMs).toBeLessThan(STALLED_AFTER_MS + BUSY_MS)
    }
    expect(opened.disconnected).toEqual(['deadline'])
    expect(connection.inFlight).toBe(0)
    await redis.resume()
    await until('a connection', () => connection.isConnected)
    expect(await echo(connection, 'again', 10_000)).toBe('again')
  })

  test('and accepts is given up within the time for connecting', async () => {
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

  test('is not asked again by what may be asked for twice', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await untilConnected(opened)
    await redis.pause()
    const counted = connection.runRetryable('counter', (client) => client.incr('counter'), 200)
    await expect(counted).rejects.toMatchObject(UNAVAILABLE)
    await redis.resume()
    await until('an answer', async () => 'value' in (await timed(echo(connection, 'x'))))
    expect(Number(await redis.cli('GET', 'counter'))).toBeLessThanOrEqual(1)
  })

  test('costs a bounded amount of memory: beyond the queue commands are refused at once', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = openConnection(proxy)
    const { connection } = opened
    await untilConnected(opened)
    await redis.pause()
    const timeoutMs = 400
    const outcomes = await Promise.all(
      Array.from({ length: 12_000 }, () => settled(echo(connection, 'x'.repeat(100), timeoutMs))),
    )
    expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
    // Whatever was sent is given up at its deadline, and never before; the rest does not wait for one.
    const isGivenUp = ({ error }: { readonly error?: unknown }) =>
      (error as Error).message === DEADLINE.message
    const [givenUp, refused] = [
      outcomes.filter(isGivenUp),
      outcomes.filter((each) => !isGivenUp(each)),
    ]
    expect(refused.length).toBeGreaterThanOrEqual(1)
    expect(givenUp.filter(({ ms }) => ms < timeoutMs)).toEqual([])
    await redis.resume()
    await until('an answer', async () => (await settled(echo(connection, 'y'))).value === 'y')
  })

  test('refuses at once what may be sent twice, too, and nothing is sent after the deadline', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await untilConnected(opened)
    await redis.pause()
    const timeoutMs = 1200
    const filling = Array.from({ length: 10_000 }, () => settled(echo(connection, 'x', timeoutMs)))
    const sentAfterMs: number[] = []
    const refused = Array.from({ length: 100 }, () => {
      const sinceMs = performance.now()
      return settled(
        connection.runRetryable(
          undefined,
          (client) => {
            sentAfterMs.push(performance.now() - sinceMs)
            return client.incr('counter')
          },
          timeoutMs,
        ),
      )
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

  test('opens the breaker by deadlines, and a late answer closes it', async () => {
    await using redis = await startRedis()
    // Nobody asks of their own accord, so that nothing but a late answer can close it.
    await using observed = openState(redis, { timeoutMs: 100, isHealthChecked: false })
    await until('its examination', () => observed.examinations.length === 1)
    const read = () =>
      observed.state.store.read('nobody', ['identity']).then(
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

  test('loses no data: what cannot be read for a while is no change', async () => {
    await using redis = await startRedis()
    await using a = openState(redis, { healthIntervalMs: 1000, timeoutMs: 200 })
    await untilDataKnown(a.redis)
    await until(
      'a name of the data',
      async () => (await redis.cli('EXISTS', 'vestibule:{dataset}')) === '1',
    )
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

describeWithRedis('a subscription that is silent', () => {
  const CHANNEL = 'vestibule:0:events'
  /** A subscriber to the channel has sent it, and nobody else. */
  const SUBSCRIBER = /\r\nsubscribe\r\n\$\d+\r\nvestibule:0:events\r\n/i
  const isHealthy = ({ state }: ObservedState) => state.backplane.epoch !== undefined
  const untilHealthy = (...states: readonly ObservedState[]) =>
    until('a backplane that is heard', () => states.every(isHealthy))
  const heard = ({ messages }: ObservedState) => messages.filter(({ type }) => type !== 'self-test')
  const untilSilent = (observed: ObservedState) =>
    timed(until('the silence', () => !isHealthy(observed)))
  const NOTICED_WITHIN_MS = BROKEN_AFTER_MS + HEARTBEAT_MS + BUSY_MS

  test('since heartbeats are refused, is taken for lost while its connection stands', async () => {
    await using redis = await startRedis()
    await using a = openState(redis)
    await untilHealthy(a)
    await until('its examination', () => a.examinations.length === 1)
    const before = a.state.backplane.epoch
    await redis.cli('ACL', 'SETUSER', 'default', '-publish')
    expect((await untilSilent(a)).ownMs).toBeLessThan(NOTICED_WITHIN_MS)
    await redis.cli('ACL', 'SETUSER', 'default', '+publish')
    await untilHealthy(a)
    // No message was lost, because the subscription was there all the time.
    expect(a.state.backplane.epoch).toBe(before)
    expect(await redis.cli('PUBSUB', 'NUMSUB', CHANNEL)).toBe(`${CHANNEL}\n1`)
  })

  test('is noticed and healed where nothing comes to it any more', async () => {
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
    expect(heard(a)).toEqual([])
    await b.state.backplane.publish({ type: 'evict', session: 'heard' })
    await until('a message', () => heard(a).length > 0)
    flow()
    await b.state.backplane.publish({ type: 'evict', session: 'last' })
    await until('the last message', () => heard(a).length > 1)
    expect(heard(a)).toMatchObject([{ session: 'heard' }, { session: 'last' }])
    expect(isHealthy(a)).toBe(true)
  })

  test('keeps no command waiting, since those have a connection of their own', async () => {
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
