import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { keepFlushing } from '../../src/session/keep-flushing.ts'
import { holdMonotonicClock, type MonotonicClock } from '../support/monotonic-clock.ts'

let clock: MonotonicClock
beforeEach(() => {
  clock = holdMonotonicClock()
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
  clock[Symbol.dispose]()
})

/** A flush takes a second, and `isAway` says whether the store hears of anything. */
function start(waiting: number) {
  const state = { waiting, flushes: 0, isAway: false }
  const flush = async () => {
    clock.elapse(1000)
    state.flushes += 1
    if (!state.isAway) state.waiting = 0
  }
  const revocations = {
    flush,
    get waiting() {
      return state.waiting
    },
  }
  return { state, flushing: keepFlushing(revocations), revocations }
}

describe('the flushing loop', () => {
  test('it flushes each second while ends wait, and stops at the end', async () => {
    const { state, flushing } = start(0)
    vi.advanceTimersByTime(5000)
    expect(state.flushes).toBe(0)
    state.waiting = 3
    vi.advanceTimersByTime(999)
    expect(state.flushes).toBe(0)
    vi.advanceTimersByTime(1)
    expect(state).toMatchObject({ flushes: 1, waiting: 0 })
    expect(await flushing.stop()).toBe(0)
    state.waiting = 1
    vi.advanceTimersByTime(5000)
    expect([state.flushes, vi.getTimerCount()]).toEqual([1, 0])
  })

  test('the last flush is tried again until the store is back', async () => {
    const { state, flushing, revocations } = start(2)
    state.isAway = true
    vi.spyOn(revocations, 'flush').mockImplementationOnce(async () => {
      state.isAway = false
    })
    expect(await flushing.stop()).toBe(0)
    expect(state.flushes).toBe(1)
  })

  test('after two seconds it gives up and tells how many ends are lost', async () => {
    const { state, flushing } = start(2)
    state.isAway = true
    expect(await flushing.stop()).toBe(2)
    expect(state.flushes).toBe(2)
  })

  test('a flush without an answer does not hold up the end', async () => {
    const { flushing, revocations } = start(1)
    vi.spyOn(revocations, 'flush')
      .mockImplementation(() => new Promise(() => undefined))
      .mockImplementationOnce(async () => clock.elapse(1990))
    const stopped = flushing.stop()
    await vi.waitFor(() => expect(revocations.flush).toHaveBeenCalledTimes(2))
    clock.elapse(10)
    expect(await stopped).toBe(1)
  })
})
