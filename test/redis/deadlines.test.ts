import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createDeadlines, type Deadlines } from '../../src/redis/deadlines.ts'
import { DeadlineError } from '../../src/redis/failure.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'

const SWEEP_MS = 20
const CATCH_UP_MS = 100

const opened: Deadlines[] = []
afterEach(() => {
  for (const each of opened.splice(0)) each.close()
  vi.useRealTimers()
})

function start() {
  const counts = { sweeps: 0, late: 0 }
  const deadlines = createDeadlines({
    onSwept: () => void counts.sweeps++,
    onLateAnswer: () => void counts.late++,
  })
  opened.push(deadlines)
  return { deadlines, counts }
}

/** Holds the clock and the sweeps, which advance only when the test says so. */
function holdTime() {
  const clock = holdMonotonicClock()
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  async function advance(clockMs: number, timersMs = clockMs): Promise<void> {
    clock.elapse(clockMs)
    await vi.advanceTimersByTimeAsync(timersMs)
  }
  return {
    async elapse(ms: number): Promise<void> {
      for (let leftMs = ms; leftMs > 0; leftMs -= SWEEP_MS)
        await advance(Math.min(SWEEP_MS, leftMs))
    },
    /** Lets time pass in which nothing runs, so that the sweep that was due comes late. */
    block: (ms: number) => advance(ms, SWEEP_MS),
    [Symbol.dispose]: () => clock[Symbol.dispose](),
  }
}

function watch(reply: Promise<unknown>) {
  let state: unknown = 'waiting'
  const settle = (outcome: unknown) => {
    state = outcome
  }
  reply.then(settle, settle)
  return () => state
}
function watchNever(timeoutMs: number) {
  const time = holdTime()
  const { deadlines } = start()
  const state = watch(deadlines.within(never(), timeoutMs))
  return { ...time, state }
}
const never = () => new Promise<never>(() => undefined)
/** Blocks this process, as parsing a large reply does. */
const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

describe('deadlines', () => {
  test('a reply in time is passed on, also when it is an error', async () => {
    const { deadlines } = start()
    expect(await deadlines.within(Promise.resolve(1), 50)).toBe(1)
    expect(await deadlines.within(wait(20, 2), 200)).toBe(2)
    await expect(deadlines.within(Promise.reject(new Error('own')), 50)).rejects.toThrow('own')
    expect(deadlines.inFlight).toBe(0)
  })

  test.for([20, 60, 150])('a command times out after %i ms', async (timeoutMs) => {
    using time = watchNever(timeoutMs)
    await time.elapse(timeoutMs - 1)
    expect(time.state()).toBe('waiting')
    await time.elapse(1 + SWEEP_MS)
    expect(time.state()).toBeInstanceOf(DeadlineError)
  })

  test('each command has a deadline of its own', async () => {
    using time = holdTime()
    const { deadlines } = start()
    const order: string[] = []
    const expectLate = (name: string, ms: number) =>
      deadlines.within(never(), ms).catch(() => order.push(name))
    const all = [expectLate('long', 150), expectLate('short', 30), expectLate('middle', 90)]
    await time.elapse(200)
    await Promise.all(all)
    expect(order).toEqual(['short', 'middle', 'long'])
  })

  test('a command that timed out is in flight until its reply, which is dropped', async () => {
    const { deadlines, counts } = start()
    const reply = Promise.withResolvers<string>()
    const given = deadlines.within(reply.promise, 20)
    await expect(given).rejects.toThrow(DeadlineError)
    expect([deadlines.inFlight, counts.late]).toEqual([1, 0])
    reply.resolve('late')
    await expect(given).rejects.toThrow(DeadlineError)
    expect(counts.late).toBe(1)
    await wait(0)
    expect(deadlines.inFlight).toBe(0)
  })

  test('a late error is dropped without an unhandled rejection', async () => {
    const { deadlines } = start()
    const unhandled: unknown[] = []
    const listen = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listen)
    const reply = Promise.withResolvers<string>()
    await expect(deadlines.within(reply.promise, 20)).rejects.toThrow(DeadlineError)
    reply.reject(new Error('late'))
    await wait(50)
    process.off('unhandledRejection', listen)
    expect([unhandled, deadlines.inFlight]).toEqual([[], 0])
  })

  test('closed deadlines time nothing out', async () => {
    const { deadlines, counts } = start()
    const given = deadlines.within(wait(150, 'late'), 20)
    deadlines.close()
    expect([await given, counts.sweeps]).toEqual(['late', 0])
  })
})

describe('deadlines after this process was busy', () => {
  test('replies that wait in the socket are read before anything times out', async () => {
    const { deadlines } = start()
    const inTime = new Promise((resolve) => setTimeout(resolve, 30, 'read after the block'))
    const given = deadlines.within(inTime, 100)
    block(400)
    expect(await given).toBe('read after the block')
  })

  test('a command without a reply times out 100 ms later', async () => {
    using time = watchNever(50)
    await time.block(300)
    await time.elapse(CATCH_UP_MS - SWEEP_MS)
    expect(time.state()).toBe('waiting')
    await time.elapse(SWEEP_MS)
    expect(time.state()).toBeInstanceOf(DeadlineError)
  })

  test('a command times out although the process is busy again and again', async () => {
    using time = watchNever(50)
    for (let round = 0; round < 5; round++) {
      expect(time.state()).toBe('waiting')
      await time.block(300)
      await time.elapse(SWEEP_MS)
    }
    await expect.poll(time.state).toBeInstanceOf(DeadlineError)
  })

  test('a command times out although every sweep is late', async () => {
    using time = watchNever(50)
    for (let round = 1; round < 10; round++) await time.block(500)
    expect(time.state()).toBe('waiting')
    await time.block(500)
    await expect.poll(time.state).toBeInstanceOf(DeadlineError)
  })

  test('onSwept is called for each sweep that is not skipped', async () => {
    using time = holdTime()
    const { counts } = start()
    await time.elapse(5 * SWEEP_MS)
    expect(counts.sweeps).toBe(5)
    await time.block(300)
    await time.elapse(CATCH_UP_MS - SWEEP_MS)
    expect(counts.sweeps).toBe(5)
    await time.elapse(SWEEP_MS)
    expect(counts.sweeps).toBe(6)
  })
})
