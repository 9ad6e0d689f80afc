import { expect, test } from 'vitest'
import { createRedisGenerations } from '../../../src/store/redis/generations.ts'
import type { RedisPortOptions } from '../../../src/store/redis/options.ts'
import { holdMonotonicClock } from '../../support/monotonic-clock.ts'

function start(redisMs: number, counter: number) {
  const clock = holdMonotonicClock()
  const redis = { redisMs, counter }
  const client = { eval: async () => [`${redis.counter}`, `${redis.redisMs}`] }
  const read = async (_key: unknown, command: (asked: typeof client) => unknown) => command(client)
  const options = { redis: { read }, prefix: 'vestibule:', readTimeoutMs: 1000 }
  const generations = createRedisGenerations(options as unknown as RedisPortOptions)
  const elapse = (ms: number) => {
    clock.elapse(ms)
    redis.redisMs += ms
  }
  return { redis, generations, elapse, [Symbol.dispose]: () => clock[Symbol.dispose]() }
}

const STARTED_AT = 1_700_000_000_000

test('C73: a sign-in before Redis’s clock was set back is ahead of it until the clock has caught up', async () => {
  using started = start(STARTED_AT, 0)
  const { redis, generations, elapse } = started
  expect(generations.isAhead(Number.MAX_SAFE_INTEGER), 'before anything is known').toBe(false)
  const before = await generations.current()
  expect(generations.isAhead(before)).toBe(false)
  redis.redisMs -= 3_600_000
  const since = await generations.current()
  expect([generations.isAhead(before), generations.isAhead(since)]).toEqual([true, false])
  elapse(3_600_000)
  await generations.current()
  expect(generations.isAhead(before)).toBe(false)
})

test('C73: an order ends earlier sign-ins also where the counter is ahead of Redis’s clock', async () => {
  using started = start(STARTED_AT, STARTED_AT + 20)
  const { redis, generations, elapse } = started
  const before = await generations.current()
  const asked = generations.moment()
  elapse(500)
  redis.counter = redis.redisMs + 1
  const since = await generations.current()
  const from = await generations.from(asked)
  expect([before < from, since < from, generations.knownFrom(asked)]).toEqual([true, false, from])
})
