import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Command } from '../../../src/redis/client.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { watchOwnLag } from '../../support/own-lag.ts'
import { startRedis } from '../../support/redis.ts'
import * as states from '../../support/redis-state.ts'
import { redisTest } from '../../support/redis-test.ts'
import { describeWithRedis } from '../../support/replicas.ts'

const DEADLINE = states.unavailable('deadline')
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
  redisTest('never has its late replies taken for those of other commands', async ({ redis }) => {
    await using opened = await states.openConnected(redis)
    for (let round = 0; round < 5; round += 1) {
      await redis.pause()
      const late = Array.from({ length: 50 }, () => timed(states.echo(opened, randomUUID(), 60)))
      const outcomes = await Promise.all(late)
      expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
      const values = Array.from({ length: 50 }, () => randomUUID())
      const answers = values.map((value) => timed(states.echo(opened, value, 1500)))
      await redis.resume()
      for (const [index, { value }] of (await Promise.all(answers)).entries()) {
        // Accepts `undefined` too, because this process may have been delayed for longer than a connection is kept.
        expect([values[index], undefined]).toContain(value)
      }
      await states.until(
        'an answer',
        async () => 'value' in (await timed(states.echo(opened, 'x'))),
      )
    }
  })

  test('loses its connection after two seconds, with all commands in flight', async () => {
    await using redis = await startRedis()
    await using opened = await states.openConnected(redis, 300)
    const { connection } = opened
    await redis.pause()
    const pending = Array.from({ length: 20 }, () => timed(states.echo(opened, 'x', 30_000)))
    for (const { error, ms, ownMs } of await Promise.all(pending)) {
      expect(error).toMatchObject(UNAVAILABLE)
      expect(ms).toBeGreaterThan(STALLED_AFTER_MS - 100)
      expect(ownMs).toBeLessThan(STALLED_AFTER_MS + BUSY_MS)
    }
    expect(opened.disconnected).toEqual(['deadline'])
    expect(connection.inFlight).toBe(0)
    await redis.resume()
    await states.until('a connection', () => connection.isConnected)
    expect(await states.echo(opened, 'again', 10_000)).toBe('again')
  })

  test('that accepts connections ends the attempt at the connect timeout', async () => {
    await using redis = await startRedis()
    await redis.pause()
    await using opened = states.openConnection(redis, 300)
    const { ms, ownMs } = await timed(opened.connection.firstAttempt)
    expect(ms).toBeGreaterThanOrEqual(290)
    expect(ownMs).toBeLessThan(300 + BUSY_MS)
    expect(opened.disconnected).toEqual(['deadline'])
    await redis.resume()
    await states.until('a connection', () => opened.connection.isConnected)
  })

  redisTest('gets an idempotent command once only', async ({ redis }) => {
    await using opened = await states.openConnected(redis)
    const { connection } = opened
    await redis.pause()
    const counted = connection.runRetryable('counter', (client) => client.incr('counter'), 200)
    await expect(counted).rejects.toMatchObject(UNAVAILABLE)
    await redis.resume()
    await states.until('an answer', async () => 'value' in (await timed(states.echo(opened, 'x'))))
    expect(Number(await redis.cli('GET', 'counter'))).toBeLessThanOrEqual(1)
  })

  test('costs bounded memory: commands beyond the queue are refused at once', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = await states.openConnected(proxy)
    await redis.pause()
    const timeoutMs = 400
    const outcomes = await Promise.all(
      Array.from({ length: 12_000 }, () =>
        settled(states.echo(opened, 'x'.repeat(100), timeoutMs)),
      ),
    )
    expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
    const hasTimedOut = ({ error }: { readonly error?: unknown }) =>
      (error as Error).message === DEADLINE.message
    const timedOut = outcomes.filter(hasTimedOut)
    expect(timedOut.length, 'some are refused at once').toBeLessThan(outcomes.length)
    expect(timedOut.filter(({ ms }) => ms < timeoutMs)).toEqual([])
    await redis.resume()
    await states.until(
      'an answer',
      async () => (await settled(states.echo(opened, 'y'))).value === 'y',
    )
  })

  test('has idempotent commands refused at once, too, and none sent after its deadline', async () => {
    await using redis = await startRedis()
    await using opened = await states.openConnected(redis)
    const { connection } = opened
    await redis.pause()
    const timeoutMs = 1200
    const filling = Array.from({ length: 10_000 }, () =>
      settled(states.echo(opened, 'x', timeoutMs)),
    )
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
    await using observed = await states.openExamined(redis, {
      timeoutMs: 100,
      isHealthChecked: false,
    })
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
    await states.until('its end', () => observed.redis.breakers.read.state === 'closed', 10_000)
    await states.until('a read', async () => (await read()) === 'done')
  })

  redisTest('does not count as other data after the outage', async ({ redis }) => {
    await using a = states.openState(redis, { healthIntervalMs: 1000, timeoutMs: 200 })
    await states.untilDataKnown(a.redis)
    const isNamed = async () => (await redis.cli('EXISTS', 'vestibule:{dataset}')) === '1'
    await states.until('a name of the data', isNamed)
    await redis.pause()
    await wait(STALLED_AFTER_MS + BUSY_MS)
    await redis.resume()
    await states.until('an answer', async () => (await a.redis.measureLatency()) !== undefined)
    const asked = async () =>
      Number(/cmdstat_set:calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats'))?.[1])
    const before = await asked()
    await states.until('two questions more', async () => (await asked()) >= before + 2)
    expect(a.datasetChanges()).toBe(0)
  })
})

describeWithRedis('a subscription on an open connection', () => {
  const CHANNEL = 'vestibule:0:events'
  const isHealthy = ({ state }: states.ObservedState) => state.backplane.subscription !== undefined

  test('counts as broken when heartbeats are refused, and keeps its number, because no message was lost', async () => {
    await using redis = await startRedis()
    await using a = await states.openExamined(redis)
    await states.until('a healthy backplane', () => isHealthy(a))
    const before = a.state.backplane.subscription
    await redis.cli('ACL', 'SETUSER', 'default', '-publish')
    const { ownMs } = await timed(states.until('the silence', () => !isHealthy(a)))
    expect(ownMs).toBeLessThan(BROKEN_AFTER_MS + HEARTBEAT_MS + BUSY_MS)
    await redis.cli('ACL', 'SETUSER', 'default', '+publish')
    await states.until('a healthy backplane', () => isHealthy(a))
    expect(a.state.backplane.subscription).toBe(before)
    expect(await redis.cli('PUBSUB', 'NUMSUB', CHANNEL)).toBe(`${CHANNEL}\n1`)
  })
})
