import { describe, expect, test } from 'vitest'
import { startRedis } from '../support/redis.ts'
import { type ObservedState, openState, type StateOptions, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const kindsAt = ({ redis }: ObservedState) => redis.fleet.findings.map(({ kind }) => kind)
const untilHealthy = (...states: readonly ObservedState[]) =>
  until('backplanes', () => states.every(({ redis }) => redis.isBackplaneHealthy))

const freshRedis = reuseRedis()

describe('replicas at one Redis', () => {
  test('know of each other soon after the last one has come', async () => {
    const redis = await freshRedis()
    await using a = openState(redis)
    await using b = openState(redis)
    await untilHealthy(a, b)
    await using c = openState(redis)
    const all = [a, b, c]
    await until('all of them', () => all.every(({ redis: { fleet } }) => fleet.size === 2))
    expect(all.flatMap(kindsAt)).toEqual([])
  })

  test.for<[string, string, StateOptions]>([
    ['another key', 'keys', { keys: ['another'] }],
    ['a clock that is ahead', 'clock', { now: () => Date.now() + 60_000 }],
  ])('find %s from both sides', async ([, kind, options]) => {
    const redis = await freshRedis()
    await using a = openState(redis)
    await using b = openState(redis, options)
    await until('both to find it', () => [a, b].every((each) => kindsAt(each).length > 0))
    expect([kindsAt(a), kindsAt(b)]).toEqual([[kind], [kind]])
    expect([a.redis.fleet.size, b.redis.fleet.size]).toEqual([1, 1])
  })

  test('noise on their channel disturbs nobody', async () => {
    const redis = await freshRedis()
    await using a = openState(redis)
    await untilHealthy(a)
    for (const text of ['', 'noise', '{}', '{"v":1,"type":"self-test"}', '[]', '{"v":2}'])
      await redis.cli('PUBLISH', 'vestibule:fleet', text)
    await using b = openState(redis)
    await until('the other', () => a.redis.fleet.size === 1 && b.redis.fleet.size === 1)
    expect([...kindsAt(a), ...kindsAt(b)]).toEqual([])
    expect([a.unknownMessages(), a.redis.isBackplaneHealthy]).toEqual([0, true])
  })

  test('a user who may not speak there hears messages all the same', async () => {
    await using redis = await startRedis({
      users: ['user app on >app ~vestibule:* resetchannels &vestibule:0:events* +@all'],
    })
    const app = { port: redis.port, username: 'app', password: 'app' }
    await using a = openState(app)
    await using b = openState(app)
    await untilHealthy(a, b)
    await a.state.backplane.publish({ type: 'clear-all' })
    await until('the message', () => b.messages.some(({ type }) => type === 'clear-all'))
    expect([a.redis.fleet.size, b.redis.fleet.size]).toEqual([0, 0])
  })
})
