import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs, exponentialMs, jitterMs } from '../../src/timing/backoff.ts'

const BOUNDS = { minMs: 100, maxMs: 1000 }
const failures = fc.nat({ max: 2000 })

test.for([
  [0, 100],
  [1, 200],
  [3, 800],
  [4, 1000],
  [5000, 1000],
])('the pause after %d failures is %d ms', ([count = 0, ms]) => {
  expect(exponentialMs(count, BOUNDS)).toBe(ms)
})

test('a back-off lies between half and all of the exponential pause', () => {
  fc.assert(
    fc.property(failures, (count) => {
      const longestMs = exponentialMs(count, BOUNDS)
      const ms = backoffMs(count, BOUNDS)
      expect(ms).toBeGreaterThanOrEqual(longestMs / 2)
      expect(ms).toBeLessThanOrEqual(longestMs)
    }),
  )
})

test('a jittered period differs by a quarter at most', () => {
  const periods = Array.from({ length: 500 }, () => jitterMs(1000))
  expect(Math.min(...periods)).toBeGreaterThanOrEqual(750)
  expect(Math.max(...periods)).toBeLessThanOrEqual(1250)
})

test('neither back-offs nor periods keep replicas in step', () => {
  const distinct = (make: () => number) => new Set(Array.from({ length: 50 }, make)).size
  expect(distinct(() => backoffMs(3, BOUNDS))).toBeGreaterThan(1)
  expect(distinct(() => jitterMs(1000))).toBeGreaterThan(1)
})
