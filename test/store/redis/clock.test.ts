import { describe, expect, test } from 'vitest'
import { createRedisClock } from '../../../src/store/redis/clock.ts'

/** Milliseconds by which Redis's clock is ahead of the monotonic one. */
const AHEAD_MS = 1_000_000
const reading = (sentAtMs: number, tookMs: number, aheadMs = AHEAD_MS) => ({
  sentAtMs,
  receivedAtMs: sentAtMs + tookMs,
  redisMs: Math.floor(sentAtMs + tookMs / 2 + aheadMs),
})
const within = (span: { fromMs: number; toMs: number } | undefined) =>
  span && Math.ceil(span.toMs - span.fromMs)

describe("the bounds of Redis's clock", () => {
  test('are unknown before the first reading', () => {
    expect(createRedisClock().timeAt(5)).toBeUndefined()
  })

  test.for([
    ['are as narrow as the answer was quick', [reading(0, 8)]],
    ['are those of the quickest reading', [reading(0, 300), reading(400, 8), reading(800, 900)]],
  ] as const)('the bounds %s', ([, readings]) => {
    const clock = createRedisClock()
    for (const each of readings) clock.note(each)
    const span = clock.timeAt(500)
    expect(span?.fromMs).toBeLessThanOrEqual(500 + AHEAD_MS)
    expect(span?.toMs).toBeGreaterThanOrEqual(500 + AHEAD_MS)
    expect(within(span)).toBeLessThanOrEqual(10)
  })

  test('widen with time, because clocks drift', () => {
    const clock = createRedisClock()
    clock.note(reading(1_000_000, 8))
    expect(within(clock.timeAt(0))).toBeGreaterThan(900)
  })

  test.for([-3_600_000, -50, 50, 3_600_000])('follow a clock that was set by %i ms', (stepMs) => {
    const clock = createRedisClock()
    for (let at = 0; at < 100; at += 10) clock.note(reading(at, 4))
    clock.note(reading(200, 4, AHEAD_MS + stepMs))
    const span = clock.timeAt(200)
    expect(span?.fromMs).toBeLessThanOrEqual(200 + AHEAD_MS + stepMs)
    expect(span?.toMs).toBeGreaterThanOrEqual(200 + AHEAD_MS + stepMs)
  })
})
