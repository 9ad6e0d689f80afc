import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { observeDisturbances } from '../../src/store/redis/disturbances.ts'
import {
  SETTLE_MS,
  SETTLED,
  type WatchedSettling,
  watchSettling,
} from '../../src/store/settling.ts'
import { holdMonotonicClock, type MonotonicClock } from '../support/monotonic-clock.ts'

const STARTED_AT = 1_700_000_000_000

type Observed = Parameters<typeof observeDisturbances>[0]

/** Creates an observer that adds what it is called with to `told`. */
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
  let clock: MonotonicClock
  let wallMs: number
  let settling: WatchedSettling
  const elapse = (ms: number): void => {
    clock.elapse(ms)
    wallMs += ms
  }
  beforeEach(() => {
    clock = holdMonotonicClock()
    wallMs = STARTED_AT
    settling = watchSettling(() => wallMs)
  })
  afterEach(() => clock[Symbol.dispose]())

  test('is settled once SETTLE_MS have passed since the last disturbance', () => {
    expect(settling.isSettled).toBe(false)
    for (let count = 0; count < 2; count++) {
      settling.disturb()
      elapse(SETTLE_MS - 1)
      expect(settling.isSettled).toBe(false)
    }
    elapse(1)
    expect(settling.isSettled).toBe(true)
    expect(settling.isSettledFor(0)).toBe(true)
  })

  test('has another epoch after each disturbance', () => {
    const epochs = [1, 2, 3].map(() => {
      settling.disturb()
      return settling.epoch
    })
    expect(new Set(epochs).size).toBe(3)
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
  ] as const)(
    'is settled for a new replica by the uptime of the server: %s',
    ([, uptimeMs, leftMs]) => {
      settling.disturb()
      settling.observeUptime(uptimeMs)
      elapse(leftMs - 1)
      expect(settling.isSettled).toBe(leftMs === 0)
      expect(settling.isSettledFor(STARTED_AT - uptimeMs + 1)).toBe(true)
      elapse(1)
      expect(settling.isSettled).toBe(true)
    },
  )

  test('is not settled where the uptime is unknown', () => {
    settling.disturb()
    settling.observeUptime(undefined)
    expect(settling.isSettled).toBe(false)
  })

  test('is not settled by the uptime for a replica that was cut off', () => {
    settling.disturb()
    settling.disturb()
    settling.observeUptime(3_600_000)
    expect(settling.isSettled).toBe(false)
  })

  test('is disturbed by connections and interrupted by a breaker, but not by its probes', () => {
    const told: unknown[] = []
    const observer = observeDisturbances(observing(told), settling)
    const epochAfter = (act: () => void): number => {
      act()
      return settling.epoch
    }
    expect(epochAfter(() => observer.onConnected())).toBe(1)
    observer.onExamined({ findings: [], runIds: ['a'], uptimeMs: 3_600_000 })
    expect(settling.isSettled).toBe(true)
    expect(epochAfter(() => observer.onDisconnected('connection', 'why'))).toBe(2)
    elapse(SETTLE_MS)
    expect(epochAfter(() => observer.onBreaker('write', 'open'))).toBe(3)
    expect(epochAfter(() => observer.onBreaker('write', 'half-open'))).toBe(3)
    expect(epochAfter(() => observer.onBreaker('write', 'closed'))).toBe(4)
    expect(settling.isSettled).toBe(true)
    expect(epochAfter(() => observer.onFailure('full'))).toBe(4)
    expect(told).toEqual([
      'connected',
      ['a'],
      ['connection', 'why'],
      ['write', 'open'],
      ['write', 'half-open'],
      ['write', 'closed'],
      'full',
    ])
  })

  test.for<[string, (observer: Observed) => void]>([
    ['by an answer to a command', (observer) => observer.onFailure('loading')],
    [
      'by an examination',
      (observer) =>
        observer.onExamined({
          findings: [{ code: 'refused', message: 'SET is refused: loading' }],
          runIds: ['a'],
          uptimeMs: 2 * SETTLE_MS,
          isLoading: true,
        }),
    ],
  ])(
    'C65: is settled SETTLE_MS after a server was last found loading, not connected: %s',
    ([, seeLoading]) => {
      const observer = observeDisturbances(observing([]), settling)
      observer.onConnected()
      elapse(2 * SETTLE_MS)
      seeLoading(observer)
      observer.onExamined({ findings: [], runIds: ['a'], uptimeMs: 3 * SETTLE_MS })
      elapse(SETTLE_MS - 1)
      expect(settling.isSettled || settling.isSettledFor(wallMs - SETTLE_MS)).toBe(false)
      elapse(1)
      expect(settling.isSettled).toBe(true)
    },
  )
})

test('a store in memory is always settled', () => {
  expect([SETTLED.isSettled, SETTLED.isSettledFor(0), SETTLED.epoch]).toEqual([true, true, 0])
})
