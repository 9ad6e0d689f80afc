import { expect, test } from 'vitest'
import { SET_IF_ABSENT } from '../../src/store/redis/scripts.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const freshRedis = reuseRedis()

test.for([
  ['nothing', [], '', 'mine', 1, 50_000],
  ['our own mark', ['mine', 'PX', '3600000'], 'mine', 'mine', 1_800_000, 3_600_000],
  ['the mark of another', ['other', 'PX', '3600000'], 'other', 'other', 1_800_000, 3_600_000],
  ['an empty mark', ['', 'PX', '3600000'], '', '', 1_800_000, 3_600_000],
  ['a mark without an end', ['other'], 'other', 'other', -1, -1],
] as const)('the script for older servers answers beside %s as SET NX GET does', async (row) => {
  const [, before, answer, left, leastMs, mostMs] = row
  const { cli } = await freshRedis()
  if (before.length > 0) await cli('SET', 'key', ...before)
  const run = () => cli('EVAL', SET_IF_ABSENT, '1', 'key', 'mine', '50000')
  expect([await run(), await cli('GET', 'key')]).toEqual([answer, left])
  // A refused attempt neither shortens the key's lifetime nor sets one.
  const ttlMs = Number(await cli('PTTL', 'key'))
  expect(ttlMs).toBeGreaterThanOrEqual(leastMs)
  expect(ttlMs).toBeLessThanOrEqual(mostMs)
  expect(await run()).toBe(left)
})
