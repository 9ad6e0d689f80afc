import { expect, test } from 'vitest'
import type { RunningRedis } from '../support/redis.ts'
import { type ObservedState, openState, until, untilDataKnown } from '../support/redis-state.ts'
import { redisTest } from '../support/redis-test.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const KEY = 'vestibule:{dataset}'
const OFTEN = { healthIntervalMs: 1000 }
const freshRedis = reuseRedis()
const freshTest = redisTest.extend('redis', () => freshRedis())

/** Kills the connections and waits until each replica has read the name again over the next one. */
async function untilReadAgain(redis: RunningRedis, ...states: readonly ObservedState[]) {
  const before = states.map((each) => each.connected())
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until('connections', () => states.every((each, at) => each.connected() > (before[at] ?? 0)))
  for (const each of states) await untilDataKnown(each.redis)
}

const untilNamed = ({ cli }: RunningRedis) =>
  until('a name of the data', async () => (await cli('EXISTS', KEY)) === '1')

async function untilKnown(redis: RunningRedis, ...states: readonly ObservedState[]) {
  for (const each of states) await untilDataKnown(each.redis)
  await untilNamed(redis)
}

freshTest('lost data are noticed once by each replica', async ({ redis }) => {
  await using a = openState(redis, OFTEN)
  await using b = openState(redis, OFTEN)
  await untilKnown(redis, a, b)
  await redis.cli('FLUSHALL')
  await until('both to notice', () => a.datasetChanges() === 1 && b.datasetChanges() === 1)
  expect([...a.disconnected, ...b.disconnected]).toEqual([])
  await untilReadAgain(redis, a, b)
  expect([a.datasetChanges(), b.datasetChanges()]).toEqual([1, 1])
  expect(await redis.cli('EXISTS', KEY)).toBe('1')
})

test('lost data are noticed by the only replica, which also names the new ones', async () => {
  const redis = await freshRedis()
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  for (let count = 1; count <= 2; count += 1) {
    await redis.cli('FLUSHALL')
    await until('the loss', () => a.datasetChanges() === count)
    await untilNamed(redis)
  }
})

redisTest('a restart with the same data is no change', async ({ redis }) => {
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  const name = await redis.cli('GET', KEY)
  for (let count = 2; count <= 3; count += 1) {
    await redis.restart({ keepData: true })
    await until('the next connection', () => a.connected() === count)
    await untilDataKnown(a.redis)
  }
  expect(await redis.cli('GET', KEY)).toBe(name)
  expect(a.datasetChanges()).toBe(0)
})

freshTest('another server with other data is noticed', async ({ redis }) => {
  await using a = openState(redis)
  await untilKnown(redis, a)
  await redis.cli('SET', KEY, 'of another server', 'PX', '60000')
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
  await until('the loss', () => a.datasetChanges() === 1)
  expect(await redis.cli('GET', KEY)).toBe('of another server')
})

freshTest('a later replica keeps the name of the data', async ({ redis }) => {
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  const name = await redis.cli('GET', KEY)
  await using b = openState(redis, OFTEN)
  await untilDataKnown(b.redis)
  await untilReadAgain(redis, a, b)
  expect(await redis.cli('GET', KEY)).toBe(name)
  expect([a.datasetChanges(), b.datasetChanges()]).toEqual([0, 0])
})

freshTest('each prefix has a name of its own', async ({ redis }) => {
  await using a = openState(redis, OFTEN)
  await using other = openState(redis, { ...OFTEN, prefix: 'other:' })
  await untilKnown(redis, a, other)
  await redis.cli('DEL', KEY)
  await until('the loss', () => a.datasetChanges() === 1)
  await untilReadAgain(redis, other)
  expect(other.datasetChanges()).toBe(0)
})

test('the name expires, and is extended as long as a replica reads it', async () => {
  const redis = await freshRedis()
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  await redis.cli('PEXPIRE', KEY, '60000')
  await until('a longer life', async () => Number(await redis.cli('PTTL', KEY)) > 60_000)
})
