import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AuthError, OutageError } from '../../src/errors.ts'
import { type BreakerState, createBreaker, NO_BREAKER } from '../../src/redis/breaker.ts'
import { holdMonotonicClock, type MonotonicClock } from '../support/monotonic-clock.ts'

const TIMEOUT_MS = 60_000

let clock: MonotonicClock
beforeEach(() => {
  clock = holdMonotonicClock()
})
afterEach(() => clock[Symbol.dispose]())

const outage = () => Promise.reject(new OutageError('Redis: deadline', new Error('late')))
const dataError = () => Promise.reject(new AuthError('store_unavailable', 'Redis: data'))
const answer = () => Promise.resolve('answer')

const start = ({ threshold = 3, timeoutMs = TIMEOUT_MS } = {}) => {
  const changes: BreakerState[] = []
  const breaker = createBreaker({
    threshold,
    timeoutMs,
    isFailure: (cause) => cause instanceof OutageError,
    refusal: () => new OutageError('Redis: breaker', new Error('open')),
    onChange: (state) => void changes.push(state),
  })
  let asked = 0
  /** What came of it, in a word. */
  const ask = async (command: () => Promise<string> = answer): Promise<string> =>
    breaker
      .run(() => {
        asked += 1
        return command()
      })
      .catch((cause: unknown) => (cause as Error).message)
  const open = async () => {
    for (let count = 0; count < threshold; count += 1) await ask(outage)
  }
  const close = async () => {
    breaker.tryNow()
    await ask()
  }
  return { breaker, changes, ask, open, close, asked: () => asked }
}

describe('a closed breaker', () => {
  test('passes on every answer as it is', async () => {
    const { breaker, ask, changes } = start()
    expect(await ask()).toBe('answer')
    expect(await ask(outage)).toBe('Redis: deadline')
    expect(await ask(dataError)).toBe('Redis: data')
    await expect(breaker.run(() => Promise.reject(new TypeError('x')))).rejects.toThrow(TypeError)
    expect(breaker.state).toBe('closed')
    expect(changes).toEqual([])
  })

  test('passes on what is thrown before anything is asked', async () => {
    const { breaker } = start({ threshold: 1 })
    const run = breaker.run(() => {
      throw new OutageError('Redis: connection', new Error('gone'))
    })
    await expect(run).rejects.toThrow('Redis: connection')
    expect(breaker.state).toBe('open')
  })

  test.for([1, 2, 5])(
    'opens after %i failures in a row, and not before',
    async (threshold, { expect }) => {
      const { breaker, ask, changes } = start({ threshold })
      for (let count = 1; count < threshold; count += 1) {
        await ask(outage)
        expect(breaker).toMatchObject({ state: 'closed', failures: count })
      }
      await ask(outage)
      expect(breaker).toMatchObject({ state: 'open', failures: threshold })
      expect(changes).toEqual(['open'])
    },
  )

  test.for([
    ['an answer', answer],
    ['an error about the data', dataError],
  ] as const)('%s ends the row', async ([, other], { expect }) => {
    const { breaker, ask, changes } = start()
    for (let round = 0; round < 5; round += 1) {
      await ask(outage)
      await ask(outage)
      expect(breaker.failures).toBe(2)
      await ask(other)
      expect(breaker.failures).toBe(0)
    }
    expect(changes).toEqual([])
  })

  test('errors about the data never open it, however many', async () => {
    const { breaker, ask, changes } = start({ threshold: 1 })
    for (let count = 0; count < 100; count += 1) await ask(dataError)
    expect(breaker).toMatchObject({ state: 'closed', failures: 0 })
    expect(changes).toEqual([])
  })

  test('failures of many who ask at once open it once', async () => {
    const { breaker, ask, changes, asked } = start()
    await Promise.all(Array.from({ length: 50 }, () => ask(outage)))
    expect(breaker.state).toBe('open')
    expect(changes).toEqual(['open'])
    expect(asked()).toBe(50)
  })
})

describe('an open breaker', () => {
  test('refuses at once and asks nobody, until its time is over', async () => {
    const { ask, open, asked, breaker } = start()
    await open()
    for (const ms of [0, 1, TIMEOUT_MS - 2]) {
      clock.elapse(ms)
      expect(await ask()).toBe('Redis: breaker')
    }
    expect(asked()).toBe(3)
    expect(breaker.failures).toBe(3)
  })

  test.for([
    ['its time', () => clock.elapse(TIMEOUT_MS)],
    ['a sign of life', ({ tryNow }: { tryNow: () => void }) => tryNow()],
  ] as const)(
    'after %s lets one through, and closes on its answer',
    async ([, pass], { expect }) => {
      const { breaker, ask, open, changes } = start()
      await open()
      pass(breaker)
      expect(breaker.state).toBe('open')
      expect(await ask()).toBe('answer')
      expect(breaker).toMatchObject({ state: 'closed', failures: 0 })
      expect(changes).toEqual(['open', 'half-open', 'closed'])
      expect(await ask()).toBe('answer')
    },
  )

  test('closes on an error about the data too: Redis works', async () => {
    const { breaker, ask, open } = start()
    await open()
    breaker.tryNow()
    expect(await ask(dataError)).toBe('Redis: data')
    expect(breaker).toMatchObject({ state: 'closed', failures: 0 })
  })

  test('while one is tried all others are refused', async () => {
    const { breaker, ask, open, asked } = start()
    await open()
    breaker.tryNow()
    const trying = Promise.withResolvers<string>()
    const tried = ask(() => trying.promise)
    expect(breaker.state).toBe('half-open')
    breaker.tryNow()
    clock.elapse(10 * TIMEOUT_MS)
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(Array(3).fill('Redis: breaker'))
    expect(asked()).toBe(4)
    trying.resolve('answer')
    expect(await tried).toBe('answer')
    expect(await ask()).toBe('answer')
  })

  test('opens again when the try fails, and waits its time anew', async () => {
    const { breaker, ask, open, changes, asked } = start()
    await open()
    clock.elapse(TIMEOUT_MS)
    expect(await ask(outage)).toBe('Redis: deadline')
    expect(breaker).toMatchObject({ state: 'open', failures: 4 })
    expect(changes).toEqual(['open', 'half-open', 'open'])
    clock.elapse(TIMEOUT_MS - 1)
    expect(await ask()).toBe('Redis: breaker')
    expect(asked()).toBe(4)
    clock.elapse(1)
    expect(await ask()).toBe('answer')
  })

  test('may be told to try again and again', async () => {
    const { breaker, ask, open } = start()
    await open()
    for (let count = 0; count < 5; count += 1) {
      breaker.tryNow()
      expect(await ask(outage)).toBe('Redis: deadline')
      expect(await ask()).toBe('Redis: breaker')
    }
    breaker.tryNow()
    expect(await ask()).toBe('answer')
  })

  test('signs of life do nothing to one that is closed', async () => {
    const { breaker, ask, open, changes } = start()
    breaker.tryNow()
    await open()
    expect(changes).toEqual(['open'])
    expect(await ask()).toBe('Redis: breaker')
  })
})

describe('an answer that comes late', () => {
  const answers = [
    ['an answer', answer],
    ['a failure', outage],
    ['an error about the data', dataError],
  ] as const

  test.for(answers)(
    '%s to what was asked before it opened changes nothing',
    async ([, late], { expect }) => {
      const { breaker, ask, open, changes, asked } = start()
      const waiting = Promise.withResolvers<void>()
      const asking = ask(async () => {
        await waiting.promise
        return late()
      })
      await open()
      waiting.resolve()
      await asking
      expect(breaker).toMatchObject({ state: 'open', failures: 3 })
      expect(changes).toEqual(['open'])
      expect(await ask()).toBe('Redis: breaker')
      expect(asked()).toBe(4)
    },
  )

  test.for(answers)('%s to it does not decide over the try', async ([, late], { expect }) => {
    const { breaker, ask, open, changes } = start()
    const waiting = Promise.withResolvers<void>()
    const asking = ask(async () => {
      await waiting.promise
      return late()
    })
    await open()
    breaker.tryNow()
    const trying = Promise.withResolvers<string>()
    const tried = ask(() => trying.promise)
    waiting.resolve()
    await asking
    expect(breaker).toMatchObject({ state: 'half-open', failures: 3 })
    trying.resolve('answer')
    await tried
    expect(changes).toEqual(['open', 'half-open', 'closed'])
  })
})

describe('a breaker that flaps', () => {
  /** Whether a sign of life lets somebody through now. */
  const isTried = async ({ breaker, ask }: ReturnType<typeof start>) => {
    breaker.tryNow()
    return (await ask(outage)) === 'Redis: deadline'
  }

  test('waits longer each time that it opens soon after it closed, up to five seconds', async () => {
    const started = start({ threshold: 1 })
    await started.open()
    await started.close()
    for (const pauseMs of [1000, 2000, 4000, 5000, 5000]) {
      await started.open()
      clock.elapse(pauseMs - 1)
      expect(await isTried(started), `${pauseMs - 1}`).toBe(false)
      clock.elapse(1)
      await started.close()
      expect(started.breaker.state, `${pauseMs}`).toBe('closed')
    }
  })

  test('never waits longer than its time', async () => {
    const started = start({ threshold: 1, timeoutMs: 3000 })
    await started.open()
    for (let count = 0; count < 20; count += 1) {
      clock.elapse(3000)
      await started.close()
      expect(started.breaker.state).toBe('closed')
      await started.open()
    }
    clock.elapse(2999)
    expect(await isTried(started)).toBe(false)
    clock.elapse(1)
    expect(await started.ask()).toBe('answer')
  })

  test.for([
    [9999, false],
    [10_000, true],
  ] as const)(
    'that stayed closed for %i ms tries at once again: %s',
    async ([ms, isAtOnce], { expect }) => {
      const started = start({ threshold: 1 })
      await started.open()
      await started.close()
      await started.open()
      clock.elapse(1000)
      await started.close()
      clock.elapse(ms)
      await started.open()
      expect(await isTried(started)).toBe(isAtOnce)
    },
  )
})

describe('where there is none', () => {
  test('it asks every time', async () => {
    for (let count = 0; count < 20; count += 1) {
      await expect(NO_BREAKER.run(outage)).rejects.toThrow('Redis: deadline')
    }
    NO_BREAKER.tryNow()
    expect(await NO_BREAKER.run(answer)).toBe('answer')
    expect(NO_BREAKER).toMatchObject({ state: 'closed', failures: 0 })
  })
})
