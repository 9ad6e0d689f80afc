import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { RELEASE_OWN, SET_IF_ABSENT } from '../../src/store/redis/scripts.ts'
import { openState, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const freshRedis = reuseRedis()

describe('marks of consumption', () => {
  /** Value before and result of an attempt by `mine`; `SET NX GET` and the script for older servers agree. */
  const table = [
    ['nothing', [], 'nothing', true],
    ['our own mark', ['SET', 'key', 'mine', 'PX', '3600000'], 'mine', true],
    ['the mark of another', ['SET', 'key', 'other', 'PX', '3600000'], 'other', false],
    ['an empty mark', ['SET', 'key', '', 'PX', '3600000'], '', false],
    ['a mark without an end', ['SET', 'key', 'other'], 'other', false],
  ] as const

  test.for(table)('by script, beside %s', async ([, before, answer], { expect }) => {
    const redis = await freshRedis()
    if (before.length > 0) await redis.cli(...before)
    const got = await redis.cli('EVAL', SET_IF_ABSENT, '1', 'key', 'mine', '50000')
    expect(got).toBe(answer === 'nothing' ? '' : answer)
    expect(await redis.cli('GET', 'key')).toBe(answer === 'nothing' ? 'mine' : answer)
    const ttlMs = Number(await redis.cli('PTTL', 'key'))
    if (answer === 'nothing') expect([ttlMs > 0, ttlMs <= 50_000]).toEqual([true, true])
    // A refused attempt neither shortens the key's lifetime nor sets one.
    else if (before.length === 3) expect(ttlMs).toBe(-1)
    else expect(ttlMs).toBeGreaterThan(1_800_000)
    const again = await redis.cli('EVAL', SET_IF_ABSENT, '1', 'key', 'mine', '50000')
    expect(again).toBe(answer === 'nothing' ? 'mine' : answer)
  })

  test.for(table)('by the port, beside %s', async ([, before, , isFirst], { expect }) => {
    const redis = await freshRedis()
    const key = 'vestibule:j:login:{key}'
    if (before.length > 0) await redis.cli('SET', key, ...before.slice(2))
    await using observed = openState(redis)
    await until('a connection', () => observed.redis.isConnected)
    const { oneTimeKeys } = observed.state
    expect(await oneTimeKeys.consume('login', 'key', 'mine', 50_000)).toBe(isFirst)
    expect(await oneTimeKeys.consume('login', 'key', 'mine', 50_000)).toBe(isFirst)
  })

  test('a mark is taken back by script only for its owner', async () => {
    const redis = await freshRedis()
    await redis.cli('SET', 'key', 'mine')
    expect(await redis.cli('EVAL', RELEASE_OWN, '1', 'key', 'other')).toBe('0')
    expect(await redis.cli('EVAL', RELEASE_OWN, '1', 'nowhere', 'mine')).toBe('0')
    expect(await redis.cli('GET', 'key')).toBe('mine')
    expect(await redis.cli('EVAL', RELEASE_OWN, '1', 'key', 'mine')).toBe('1')
    expect(await redis.cli('EXISTS', 'key')).toBe('0')
  })

  test('a value that is no mark is never a first use', async () => {
    const redis = await freshRedis()
    await redis.cli('LPUSH', 'vestibule:j:login:{key}', 'x')
    await using observed = openState(redis)
    await until('a connection', () => observed.redis.isConnected)
    expect(await observed.state.oneTimeKeys.consume('login', 'key', 'mine', 1000)).toBe(false)
  })

  test('over 8 connections and 2,000 rounds each key has exactly one winner', async () => {
    const redis = await freshRedis()
    await using stack = new AsyncDisposableStack()
    const states = Array.from({ length: 8 }, () => stack.use(openState(redis)))
    await until('connections', () => states.every(({ redis }) => redis.isConnected))
    const winners: number[] = []
    for (let round = 0; round < 2000; round += 1) {
      const key = randomUUID()
      const won = await Promise.all(
        states.map(({ state }) => state.oneTimeKeys.consume('login', key, randomUUID(), 60_000)),
      )
      winners.push(won.filter(Boolean).length)
    }
    expect(winners).toHaveLength(2000)
    expect(new Set(winners)).toEqual(new Set([1]))
    expect(states.flatMap(({ failures }) => failures)).toEqual([])
  })
})
