import { describe, expect, test } from 'vitest'
import { createRedisClock } from '../../src/store/redis/clock.ts'

/** Redis's clock is this much ahead of the monotonic one. */
const AHEAD_MS = 1_000_000
const reading = (sentAtMs: number, tookMs: number, aheadMs = AHEAD_MS) => ({
  sentAtMs,
  receivedAtMs: sentAtMs + tookMs,
  redisMs: Math.floor(sentAtMs + tookMs / 2 + aheadMs),
})
const within = (span: { fromMs: number; toMs: number } | undefined) =>
  span && Math.ceil(span.toMs - span.fromMs)

describe("Redis's clock, as this process knows it", () => {
  test('is not known before it has been read', () => {
    expect(createRedisClock().timeAt(5)).toBeUndefined()
  })

  test.for([
    ['a reading is as exact as its answer was quick', [reading(0, 8)], 10],
    ['of several the quickest counts', [reading(0, 300), reading(400, 8), reading(800, 900)], 10],
  ] as const)('%s', ([, readings, exactToMs], { expect }) => {
    const clock = createRedisClock()
    for (const each of readings) clock.note(each)
    const span = clock.timeAt(500)
    expect(span?.fromMs).toBeLessThanOrEqual(500 + AHEAD_MS)
    expect(span?.toMs).toBeGreaterThanOrEqual(500 + AHEAD_MS)
    expect(within(span)).toBeLessThanOrEqual(exactToMs)
  })

  test('what it says of a time long ago is less exact, for clocks drift', () => {
    const clock = createRedisClock()
    clock.note(reading(1_000_000, 8))
    expect(within(clock.timeAt(0))).toBeGreaterThan(900)
  })

  test.for([-3_600_000, -50, 50, 3_600_000])(
    'that was set (%i ms) is learnt anew',
    (stepMs, { expect }) => {
      const clock = createRedisClock()
      for (let at = 0; at < 100; at += 10) clock.note(reading(at, 4))
      clock.note(reading(200, 4, AHEAD_MS + stepMs))
      const span = clock.timeAt(200)
      expect(span?.fromMs).toBeLessThanOrEqual(200 + AHEAD_MS + stepMs)
      expect(span?.toMs).toBeGreaterThanOrEqual(200 + AHEAD_MS + stepMs)
    },
  )
})
