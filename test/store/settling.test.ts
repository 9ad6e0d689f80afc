import { beforeEach, describe, expect, test } from 'vitest'
import { observeDisturbances } from '../../src/store/redis/disturbances.ts'
import {
  SETTLE_MS,
  SETTLED,
  type WatchedSettling,
  watchSettling,
} from '../../src/store/settling.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'

const STARTED_AT = 1_700_000_000_000

type Observed = Parameters<typeof observeDisturbances>[0]

function observing(told: unknown[]): Observed {
  return {
    onConnected: () => told.push('connected'),
    onDisconnected: (...about) => told.push(about),
    onFailure: (failure) => told.push(failure),
    onBreaker: (...about) => told.push(about),
    onExamined: ({ runIds }) => told.push(runIds),
  }
}

describe('a shared store', () => {
  const clock = useMonotonicClock()
  let wallMs: number
  let settling: WatchedSettling
  const elapse = (ms: number): void => {
    clock.elapse(ms)
    wallMs += ms
  }
  beforeEach(() => {
    wallMs = STARTED_AT
    settling = watchSettling(() => wallMs)
  })

  test('is settled once SETTLE_MS have passed since the last disturbance', () => {
    expect(settling.isSettled).toBe(false)
    for (let count = 0; count < 2; count++) {
      settling.disturb()
      elapse(SETTLE_MS - 1)
      expect(settling.isSettled).toBe(false)
    }
    elapse(1)
    expect([settling.isSettled, settling.isSettledFor(0)]).toEqual([true, true])
  })

  test('has another interruptions after each disturbance', () => {
    const interruptions = [1, 2, 3].map(() => {
      settling.disturb()
      return settling.interruptions
    })
    expect(new Set(interruptions).size).toBe(3)
  })

  test('is settled at once for a session created after the disturbance', () => {
    settling.disturb()
    expect(settling.isSettledFor(STARTED_AT)).toBe(false)
    expect(settling.isSettledFor(STARTED_AT + 1)).toBe(true)
  })

  test.for([
    ['long', 3_600_000, 0],
    ['a while', 4000, SETTLE_MS - 4000],
    ['no time at all', 0, SETTLE_MS],
  ] as const)('is settled for a new replica by the uptime of the server: %s', (row) => {
    const [, uptimeMs, leftMs] = row
    settling.disturb()
    settling.observeUptime(uptimeMs)
    elapse(leftMs - 1)
    expect(settling.isSettled).toBe(leftMs === 0)
    expect(settling.isSettledFor(STARTED_AT - uptimeMs + 1)).toBe(true)
    elapse(1)
    expect(settling.isSettled).toBe(true)
  })

  test.for([
    ['where the uptime is unknown', 1, undefined],
    ['by the uptime for a replica that was cut off', 2, 3_600_000],
  ] as const)('is not settled %s', ([, disturbances, uptimeMs]) => {
    for (let count = 0; count < disturbances; count++) settling.disturb()
    settling.observeUptime(uptimeMs)
    expect(settling.isSettled).toBe(false)
  })

  test('is disturbed by connections and interrupted by a breaker, but not by its probes', () => {
    const told: unknown[] = []
    const observer = observeDisturbances(observing(told), settling)
    const epochAfter = (act: () => void): number => {
      act()
      return settling.interruptions
    }
    expect(epochAfter(() => observer.onConnected())).toBe(1)
    observer.onExamined({ findings: [], runIds: ['a'], uptimeMs: 3_600_000 })
    expect(settling.isSettled).toBe(true)
    expect(
      epochAfter(() => observer.onDisconnected({ failure: 'connection', reason: 'why' })),
    ).toBe(2)
    elapse(SETTLE_MS)
    expect(epochAfter(() => observer.onBreaker('write', 'open'))).toBe(3)
    expect(epochAfter(() => observer.onBreaker('write', 'half-open'))).toBe(3)
    expect(epochAfter(() => observer.onBreaker('write', 'closed'))).toBe(4)
    expect([settling.isSettled, epochAfter(() => observer.onFailure('full'))]).toEqual([true, 4])
    const breaker = ['open', 'half-open', 'closed'].map((state) => ['write', state])
    expect(told).toEqual([
      'connected',
      ['a'],
      [{ failure: 'connection', reason: 'why' }],
      ...breaker,
      'full',
    ])
  })

  const loading = { code: 'refused', message: 'SET is refused: loading' } as const
  const examined = (uptimeMs: number) => ({ findings: [], runIds: ['a'], uptimeMs })
  test.for(['answer', 'examination'] as const)('C65: settles after the last loading %s', (how) => {
    const observer = observeDisturbances(observing([]), settling)
    observer.onConnected()
    elapse(2 * SETTLE_MS)
    if (how === 'answer') observer.onFailure('loading')
    else observer.onExamined({ ...examined(2 * SETTLE_MS), findings: [loading], isLoading: true })
    observer.onExamined(examined(3 * SETTLE_MS))
    elapse(SETTLE_MS - 1)
    expect(settling.isSettled || settling.isSettledFor(wallMs - SETTLE_MS)).toBe(false)
    elapse(1)
    expect(settling.isSettled).toBe(true)
  })
})

test('a store in memory is always settled', () => {
  expect([SETTLED.isSettled, SETTLED.isSettledFor(0), SETTLED.interruptions]).toEqual([
    true,
    true,
    0,
  ])
})
