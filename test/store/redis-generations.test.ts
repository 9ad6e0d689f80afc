import { expect, test } from 'vitest'
import type { RedisStoreOptions } from '../../src/store/redis.ts'
import { createRedisGenerations } from '../../src/store/redis-generations.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'

test('C73: what began before Redis’s clock went back is ahead of it until that has caught up', async () => {
  using clock = holdMonotonicClock()
  let redisMs = 1_700_000_000_000
  const client = { eval: async () => ['0', `${redisMs}`] }
  const generations = createRedisGenerations({
    redis: { read: async (command: (asked: typeof client) => unknown) => command(client) },
    prefix: 'vestibule:',
    readTimeoutMs: 1000,
  } as unknown as RedisStoreOptions)
  expect(generations.isAhead(Number.MAX_SAFE_INTEGER), 'before anything is known').toBe(false)
  const before = await generations.current()
  expect(generations.isAhead(before)).toBe(false)
  const elapse = (ms: number) => {
    clock.elapse(ms)
    redisMs += ms
  }
  redisMs -= 3_600_000
  const since = await generations.current()
  expect([generations.isAhead(before), generations.isAhead(since)]).toEqual([true, false])
  elapse(3_600_000)
  await generations.current()
  expect(generations.isAhead(before)).toBe(false)
})
