import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createDeadlines, type Deadlines } from '../../src/redis/deadlines.ts'
import { DeadlineError } from '../../src/redis/failure.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'

const made: Deadlines[] = []
afterEach(() => {
  for (const each of made.splice(0)) each.close()
  vi.useRealTimers()
})

const start = () => {
  let sweeps = 0
  let late = 0
  const deadlines = createDeadlines({
    onSwept: () => {
      sweeps += 1
    },
    onLateAnswer: () => {
      late += 1
    },
  })
  made.push(deadlines)
  return { deadlines, sweeps: () => sweeps, late: () => late }
}
/** As often as answers are looked after. */
const SWEEP_MS = 20
/** How long they are waited for after this process was busy. */
const CATCH_UP_MS = 100

/** The clock and the sweeps, which go on when the test says so. */
const holdTime = () => {
  const clock = holdMonotonicClock()
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  return {
    elapse: async (ms: number): Promise<void> => {
      for (let leftMs = ms; leftMs > 0; leftMs -= SWEEP_MS) {
        const stepMs = Math.min(SWEEP_MS, leftMs)
        clock.elapse(stepMs)
        await vi.advanceTimersByTimeAsync(stepMs)
      }
    },
    /** Time in which nothing runs; the sweep that was due comes late. */
    block: async (ms: number): Promise<void> => {
      clock.elapse(ms)
      await vi.advanceTimersByTimeAsync(SWEEP_MS)
    },
    [Symbol.dispose]: () => clock[Symbol.dispose](),
  }
}
/** What has become of it by now. */
const watch = (given: Promise<unknown>) => {
  let state: unknown = 'waiting'
  given.then(
    (value) => {
      state = value
    },
    (cause: unknown) => {
      state = cause
    },
  )
  return () => state
}
/** Nothing else runs meanwhile, as while a large answer is parsed. */
const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
const never = () => new Promise<never>(() => undefined)

describe('deadlines', () => {
  test('what is overdue is given up also where this process is always too busy to look in time', async () => {
    using time = holdTime()
    const { deadlines } = start()
    const state = watch(deadlines.within(never(), 50))
    for (let round = 1; round < 10; round++) await time.block(500)
    expect(state()).toBe('waiting')
    await time.block(500)
    await expect.poll(state).toBeInstanceOf(DeadlineError)
  })

  test('an answer in time is the answer, also when it is an error', async () => {
    const { deadlines } = start()
    expect(await deadlines.within(Promise.resolve(1), 50)).toBe(1)
    expect(await deadlines.within(wait(20, 2), 200)).toBe(2)
    await expect(deadlines.within(Promise.reject(new Error('own')), 50)).rejects.toThrow('own')
    expect(deadlines.inFlight).toBe(0)
  })

  test.for([20, 60, 150])(
    'after %i ms it is given up, and not before',
    async (timeoutMs, { expect }) => {
      using time = holdTime()
      const { deadlines } = start()
      const state = watch(deadlines.within(never(), timeoutMs))
      await time.elapse(timeoutMs - 1)
      expect(state()).toBe('waiting')
      await time.elapse(1 + SWEEP_MS)
      expect(state()).toBeInstanceOf(DeadlineError)
    },
  )

  test('each has a deadline of its own', async () => {
    using time = holdTime()
    const { deadlines } = start()
    const order: string[] = []
    const tell = (name: string, ms: number) =>
      deadlines.within(never(), ms).catch(() => order.push(name))
    const all = Promise.all([tell('long', 150), tell('short', 30), tell('middle', 90)])
    await time.elapse(200)
    await all
    expect(order).toEqual(['short', 'middle', 'long'])
  })

  test('what has been given up is in flight until it is answered, and its answer is dropped', async () => {
    const { deadlines, late } = start()
    const answer = Promise.withResolvers<string>()
    const given = deadlines.within(answer.promise, 20)
    await expect(given).rejects.toThrow(DeadlineError)
    expect(deadlines.inFlight).toBe(1)
    expect(late()).toBe(0)
    answer.resolve('late')
    await expect(given).rejects.toThrow(DeadlineError)
    expect(late()).toBe(1)
    await wait(0)
    expect(deadlines.inFlight).toBe(0)
  })

  test('a late error is dropped too, and no rejection is left unhandled', async () => {
    const { deadlines } = start()
    const unhandled: unknown[] = []
    const listen = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listen)
    const answer = Promise.withResolvers<string>()
    await expect(deadlines.within(answer.promise, 20)).rejects.toThrow(DeadlineError)
    answer.reject(new Error('late'))
    await wait(50)
    process.off('unhandledRejection', listen)
    expect(unhandled).toEqual([])
    expect(deadlines.inFlight).toBe(0)
  })

  test('a process that was busy reads the answers that wait for it, and gives up none of them', async () => {
    const { deadlines } = start()
    const inTime = new Promise((resolve) => setTimeout(resolve, 30, 'read after the block'))
    const given = deadlines.within(inTime, 100)
    block(400)
    expect(await given).toBe('read after the block')
  })

  test('after that it gives up what is really not there', async () => {
    using time = holdTime()
    const { deadlines } = start()
    const state = watch(deadlines.within(never(), 50))
    await time.block(300)
    await time.elapse(CATCH_UP_MS - SWEEP_MS)
    expect(state()).toBe('waiting')
    await time.elapse(SWEEP_MS)
    expect(state()).toBeInstanceOf(DeadlineError)
  })

  test('also where it is busy again and again in between', async () => {
    using time = holdTime()
    const { deadlines } = start()
    const state = watch(deadlines.within(never(), 50))
    for (let round = 0; round < 5; round++) {
      expect(state()).toBe('waiting')
      await time.block(300)
      await time.elapse(SWEEP_MS)
    }
    await expect.poll(state).toBeInstanceOf(DeadlineError)
  })

  test('each sweep is told, but none before which this process was too busy to read', async () => {
    using time = holdTime()
    const { sweeps } = start()
    await time.elapse(5 * SWEEP_MS)
    expect(sweeps()).toBe(5)
    await time.block(300)
    await time.elapse(CATCH_UP_MS - SWEEP_MS)
    expect(sweeps()).toBe(5)
    await time.elapse(SWEEP_MS)
    expect(sweeps()).toBe(6)
  })

  test('after its end it calls nobody', async () => {
    const { deadlines, sweeps } = start()
    const given = deadlines.within(wait(150, 'late'), 20)
    deadlines.close()
    expect(await given).toBe('late')
    expect(sweeps()).toBe(0)
  })
})
