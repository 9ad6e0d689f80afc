import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createOverdue } from '../../src/store/overdue.ts'
import { DeadlineError } from '../../src/store/redis-failure.ts'

const TIMEOUT_MS = 100
const WELL_AFTER_MS = 120

describe('what is overdue', () => {
  test('is not asked for again, and other keys are', async () => {
    const { unlessOverdue } = createOverdue()
    const stuck = Promise.withResolvers<string>()
    const first = unlessOverdue('a', TIMEOUT_MS, () => stuck.promise)
    await pause(WELL_AFTER_MS)
    const again = unlessOverdue('a', TIMEOUT_MS, async () => 'asked')
    await expect(again).rejects.toThrow(DeadlineError)
    expect(await unlessOverdue('b', TIMEOUT_MS, async () => 'asked')).toBe('asked')
    expect(await unlessOverdue('a', 10 * TIMEOUT_MS, async () => 'patient')).toBe('patient')
    stuck.resolve('late')
    expect(await first).toBe('late')
    expect(await unlessOverdue('a', TIMEOUT_MS, async () => 'asked')).toBe('asked')
  })

  test('a failure is an answer too', async () => {
    const { unlessOverdue } = createOverdue()
    const failing = unlessOverdue('a', TIMEOUT_MS, () => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    expect(await unlessOverdue('a', TIMEOUT_MS, async () => 'asked')).toBe('asked')
  })

  test('many who overlap without a pause are all answered as long as answers come', async () => {
    const { unlessOverdue } = createOverdue()
    const endMs = performance.now() + 4 * TIMEOUT_MS
    const worker = async (): Promise<number> => {
      let answers = 0
      while (performance.now() < endMs) {
        await unlessOverdue('a', TIMEOUT_MS, () => pause(10))
        answers++
      }
      return answers
    }
    const starts = [0, 3, 6].map(async (ms) => {
      await pause(ms)
      return worker()
    })
    for (const answers of await Promise.all(starts)) expect(answers).toBeGreaterThan(10)
  })
})
