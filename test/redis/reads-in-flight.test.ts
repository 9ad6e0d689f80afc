import { describe, expect, test } from 'vitest'
import type { Command } from '../../src/redis/client.ts'
import { connectRedis } from '../../src/redis/connection.ts'
import { guardRedis } from '../../src/redis/guarded.ts'
import { createOpener } from '../../src/store/redis/open-target.ts'
import { openState, RECORDS, until } from '../support/redis-state.ts'
import { redisTest } from '../support/redis-test.ts'
import { speakWell, startSpokenRedis } from '../support/spoken-redis.ts'

const NIL = '_\r\n'
const LONG_MS = 60_000
const get: Command<string | null> = (client) => client.get('key')
const echo: Command<string> = (client) => client.echo('now')
const ignore = () => undefined

/** Opens guarded reads of a Redis that keeps its answers to GET back until the next ECHO on the same connection. */
async function openReluctant() {
  const held = new WeakMap<object, number>()
  const redis = await startSpokenRedis((command, connection) => {
    const count = held.get(connection) ?? 0
    const [name = ''] = command
    held.set(connection, name === 'GET' ? count + 1 : 0)
    if (name === 'GET') return undefined
    return (name === 'ECHO' ? NIL.repeat(count) : '') + (speakWell(command, connection) ?? '')
  })
  const told = { late: 0, answered: 0, failures: [] as string[], breaker: [] as string[] }
  const onFailure = (failure: string) => void told.failures.push(failure)
  const target = { kind: 'single', host: '127.0.0.1', port: redis.port, database: 0 } as const
  const connection = connectRedis({
    open: createOpener({ target: () => target, connectTimeoutMs: LONG_MS, onFailure }),
    onConnected: ignore,
    onDisconnected: ignore,
    onStillAway: ignore,
    onFailure,
    onLateAnswer: () => void told.late++,
  })
  const guarded = guardRedis(connection, {
    isEnabled: true,
    threshold: 2,
    timeoutMs: LONG_MS,
    onChange: (name, state) => void told.breaker.push(`${name} ${state}`),
    onRead: () => void told.answered++,
  })
  await connection.firstAttempt
  const heard = (index: number) =>
    redis.connections[index]?.heard.filter(([name]) => name === 'GET').length ?? 0
  const read = (timeoutMs: number) => guarded.read('key', get, timeoutMs)
  return {
    redis,
    told,
    connection,
    heard,
    readTwice: (timeoutMs: number) => Promise.allSettled([read(timeoutMs), read(timeoutMs)]),
    answer: () => connection.run(undefined, echo, LONG_MS),
    async [Symbol.asyncDispose]() {
      await connection.close()
      await redis[Symbol.asyncDispose]()
    },
  }
}

const twice = <T>(value: T) => [value, value]
const FOUND_NOTHING = { status: 'fulfilled', value: null }
const failedWith = (failure: string) => ({
  status: 'rejected',
  reason: { message: `Redis: ${failure}` },
})

describe('reads in flight', () => {
  test('are answered in order, each measured once', async () => {
    await using opened = await openReluctant()
    const reads = opened.readTwice(LONG_MS)
    await until('both reads', () => opened.heard(0) === 2)
    expect(opened.connection.inFlight).toBe(2)
    await opened.answer()
    expect(await reads).toEqual(twice(FOUND_NOTHING))
    expect(opened.told).toEqual({ late: 0, answered: 2, failures: [], breaker: [] })
    expect(opened.connection.inFlight).toBe(0)
  })

  test('fail at their deadline, and each late answer is told once and closes no breaker', async () => {
    await using opened = await openReluctant()
    expect(await opened.readTwice(30)).toMatchObject(twice(failedWith('deadline')))
    const told = { answered: 0, failures: twice('deadline'), breaker: ['read open'] }
    expect(opened.told).toEqual({ ...told, late: 0 })
    expect(opened.connection.inFlight).toBe(2)
    await opened.answer()
    expect(opened.told).toEqual({ ...told, late: 2 })
    expect(opened.connection.inFlight).toBe(0)
    expect(await opened.readTwice(LONG_MS)).toMatchObject(twice(failedWith('breaker')))
    expect(opened.heard(0)).toBe(2)
  })

  test('are sent once more over the next connection when theirs ends', async () => {
    await using opened = await openReluctant()
    const reads = opened.readTwice(LONG_MS)
    await until('both reads', () => opened.heard(0) === 2)
    opened.redis.connections[0]?.end()
    await until('both reads again', () => opened.heard(1) === 2)
    await opened.answer()
    expect(await reads).toEqual(twice(FOUND_NOTHING))
    expect(opened.told).toEqual({ late: 0, answered: 2, failures: ['connection'], breaker: [] })
  })

  test('fail as one outage each when the next connection ends, too', async () => {
    await using opened = await openReluctant()
    const reads = opened.readTwice(LONG_MS)
    for (const index of [0, 1]) {
      await until('both reads', () => opened.heard(index) === 2)
      opened.redis.connections[index]?.end()
    }
    expect(await reads).toMatchObject(twice(failedWith('connection')))
    expect(opened.told).toMatchObject({ late: 0, answered: 0, breaker: ['read open'] })
    expect(opened.connection.inFlight).toBe(0)
  })

  test('fail at their deadline while they wait for the next connection', async () => {
    await using opened = await openReluctant()
    const reads = opened.readTwice(100)
    await until('both reads', () => opened.heard(0) === 2)
    await opened.redis[Symbol.asyncDispose]()
    expect(await reads).toMatchObject(twice(failedWith('connection')))
    expect(opened.told).toMatchObject({ late: 0, answered: 0, breaker: ['read open'] })
  })
})

redisTest(
  'a value of another kind is unusable, and alone among reads in flight',
  async ({ redis }) => {
    await using observed = openState(redis)
    await until('a connection', () => observed.redis.isConnected)
    const { store } = observed.state
    const digests = Array.from({ length: 8 }, (_, at) => `session-${at}`)
    for (const digest of digests) await store.create(digest, RECORDS, LONG_MS)
    await redis.cli('DEL', 'vestibule:{session-3}:s')
    await redis.cli('LPUSH', 'vestibule:{session-3}:s', 'no record')
    const found = await Promise.all(digests.map((digest) => store.read(digest, ['identity'])))
    expect(found.map(({ identity }) => identity?.length)).toEqual([1, 1, 1, 0, 1, 1, 1, 1])
    expect([observed.failures, observed.breakerChanges]).toEqual([[], []])
  },
)
