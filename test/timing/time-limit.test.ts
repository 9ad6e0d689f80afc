import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { waitAtMost, within } from '../../src/timing/time-limit.ts'

const late = () => new Error('late')
const never = () => Promise.withResolvers<never>().promise

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('within', () => {
  test('an answer in time is returned, and leaves no timer', async () => {
    expect([await within(Promise.resolve('a'), 100, late), vi.getTimerCount()]).toEqual(['a', 0])
  })

  test('a failure in time is thrown, and leaves no timer', async () => {
    await expect(within(Promise.reject(new Error('away')), 100, late)).rejects.toThrow('away')
    expect(vi.getTimerCount()).toBe(0)
  })

  test('an answer that exceeds the limit is replaced by the error, not earlier', async () => {
    const settled = Promise.allSettled([within(never(), 100, late)])
    await vi.advanceTimersByTimeAsync(99)
    expect(vi.getTimerCount()).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(await settled).toEqual([{ status: 'rejected', reason: late() }])
  })
})

describe('waitAtMost', () => {
  test('ends with the answer, and leaves no timer', async () => {
    await waitAtMost(Promise.resolve('a'), 100)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('throws a failure in time', async () => {
    await expect(waitAtMost(Promise.reject(new Error('away')), 100)).rejects.toThrow('away')
  })

  test('ends at the limit without an error, not earlier', async () => {
    const settled = Promise.allSettled([waitAtMost(never(), 100)])
    await vi.advanceTimersByTimeAsync(99)
    expect(vi.getTimerCount()).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(await settled).toEqual([{ status: 'fulfilled', value: undefined }])
  })
})
