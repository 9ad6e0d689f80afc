import { describe, expect, test, vi } from 'vitest'
import { keepFlushing } from '../../src/session/keep-flushing.ts'
import { createRevocations, type Revocations } from '../../src/session/revocations.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'
import { DAY_MS, outage } from '../support/started-sessions.ts'

const clock = useMonotonicClock('with intervals')

/** Flushes ends to a store that takes a second and answers each command as the script says, the last one for ever. */
function start(...script: readonly (() => Promise<unknown>)[]) {
  let asked = 0
  const revocations = createRevocations({
    maxAgeMs: DAY_MS,
    applyToAllOf: async () => undefined,
    knownFrom: () => 0,
    isAhead: () => false,
    applyAgain: async () => undefined,
    onFlushed: () => undefined,
  })
  const defer = () =>
    revocations.defer('a', 'signed-out', async () => {
      const answer = script[Math.min(asked++, script.length - 1)]
      return answer?.()
    })
  let flushes = 0
  const flush = () => (flushes++, revocations.flush())
  const flushing = keepFlushing(Object.assign(Object.create(revocations) as Revocations, { flush }))
  return { revocations, defer, flushing, asked: () => asked, flushes: () => flushes }
}
const takeSecond = async () => clock.elapse(1000)
const beAway = async () => (clock.elapse(1000), outage())

describe('the flushing loop', () => {
  test('flushes each second while ends wait, and stops at the end', async () => {
    const { revocations, defer, flushing, asked, flushes } = start(takeSecond)
    await vi.advanceTimersByTimeAsync(5000)
    defer()
    await vi.advanceTimersByTimeAsync(999)
    expect([asked(), flushes()]).toEqual([0, 0])
    await vi.advanceTimersByTimeAsync(1)
    expect([asked(), revocations.waiting, await flushing.stop()]).toEqual([1, 0, 0])
    defer()
    await vi.advanceTimersByTimeAsync(5000)
    expect([asked(), vi.getTimerCount()]).toEqual([1, 0])
  })

  test.for([
    ['until the store is back', [beAway, takeSecond], 0, 2],
    ['for two seconds, and gives up and tells how many ends are lost', [beAway], 1, 2],
  ] as const)('the last flush is tried again %s', async ([, script, lost, tries]) => {
    const { defer, flushing, asked } = start(...script)
    defer()
    expect([await flushing.stop(), asked()]).toEqual([lost, tries])
  })

  test('a flush without an answer does not hold up the end', async () => {
    const never = () => new Promise(() => undefined)
    const { defer, flushing, asked } = start(async () => (clock.elapse(1990), outage()), never)
    defer()
    const stopped = flushing.stop()
    await vi.waitFor(() => expect(asked()).toBe(2))
    clock.elapse(10)
    expect(await stopped).toBe(1)
  })
})
