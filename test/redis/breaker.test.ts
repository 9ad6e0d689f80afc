import { describe, expect, test } from 'vitest'
import { AuthError, OutageError } from '../../src/errors.ts'
import { type BreakerState, createBreaker, NO_BREAKER } from '../../src/redis/breaker.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'

const TIMEOUT_MS = 60_000

const clock = useMonotonicClock()

const outage = () => Promise.reject(new OutageError('Redis: deadline', new Error('late')))
const dataError = () => Promise.reject(new AuthError('store_unavailable', 'Redis: data'))
const success = () => Promise.resolve('answer')
const REFUSED = 'Redis: breaker'

function start({ threshold = 3, timeoutMs = TIMEOUT_MS } = {}) {
  const changes: BreakerState[] = []
  const breaker = createBreaker({
    threshold,
    timeoutMs,
    isFailure: (cause) => cause instanceof OutageError,
    refusal: () => new OutageError(REFUSED, new Error('open')),
    onChange: (state) => void changes.push(state),
  })
  let calls = 0
  const ask = (command: () => Promise<string> = success) =>
    breaker.run(() => (calls++, command())).catch((cause: unknown) => (cause as Error).message)
  /** Returns a call that is under way until `settle` lets it end as `command` does. */
  function askLater(command: () => Promise<string> = success) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const answer = ask(() => promise.then(command))
    return () => (resolve(), answer)
  }
  async function open() {
    for (let count = 0; count < threshold; count += 1) await ask(outage)
  }
  async function close() {
    breaker.tryNow()
    await ask()
  }
  return { breaker, changes, ask, askLater, open, close, calls: () => calls }
}

describe('a closed breaker', () => {
  test('passes each answer and each error on unchanged', async () => {
    const { breaker, ask, changes } = start()
    const answers = [await ask(), await ask(outage), await ask(dataError)]
    expect(answers).toEqual(['answer', 'Redis: deadline', 'Redis: data'])
    await expect(breaker.run(() => Promise.reject(new TypeError('x')))).rejects.toThrow(TypeError)
    expect([breaker.state, changes]).toEqual(['closed', []])
  })

  test('counts an error that the call throws synchronously', async () => {
    const { breaker } = start({ threshold: 1 })
    const run = breaker.run(() => {
      throw new OutageError('Redis: connection', new Error('gone'))
    })
    await expect(run).rejects.toThrow('Redis: connection')
    expect(breaker.state).toBe('open')
  })

  test.for([1, 2, 5])('opens at failure %i in a row', async (threshold) => {
    const { breaker, ask, changes } = start({ threshold })
    for (let count = 1; count < threshold; count += 1) {
      await ask(outage)
      expect(breaker).toMatchObject({ state: 'closed', failures: count })
    }
    await ask(outage)
    expect(breaker).toMatchObject({ state: 'open', failures: threshold })
    expect(changes).toEqual(['open'])
  })

  test.for([
    ['an answer', success],
    ['an error about the data', dataError],
  ] as const)('starts to count anew after %s', async ([, other]) => {
    const { breaker, ask, changes } = start()
    for (let round = 0; round < 5; round += 1) {
      for (const [answer, failures] of [
        [outage, 1],
        [outage, 2],
        [other, 0],
      ] as const) {
        await ask(answer)
        expect(breaker.failures).toBe(failures)
      }
    }
    expect(changes).toEqual([])
  })

  test('opens once when concurrent calls fail', async () => {
    const { breaker, ask, changes, calls } = start()
    await Promise.all(Array.from({ length: 50 }, () => ask(outage)))
    expect([breaker.state, changes, calls()]).toEqual(['open', ['open'], 50])
  })
})

describe('an open breaker', () => {
  test('refuses calls until its timeout is over', async () => {
    const { ask, open, calls, breaker } = start()
    await open()
    for (const ms of [0, 1, TIMEOUT_MS - 2]) {
      clock.elapse(ms)
      expect(await ask()).toBe(REFUSED)
    }
    expect([calls(), breaker.failures]).toEqual([3, 3])
  })

  test.for([
    ['its timeout', () => clock.elapse(TIMEOUT_MS), success, 'answer'],
    ['tryNow', (by: { tryNow(): void }) => by.tryNow(), success, 'answer'],
    ['tryNow', (by: { tryNow(): void }) => by.tryNow(), dataError, 'Redis: data'],
  ] as const)('lets a trial through after %s and closes', async (row) => {
    const [, pass, trial, answer] = row
    const { breaker, ask, open, changes } = start()
    await open()
    pass(breaker)
    expect([breaker.state, await ask(trial)]).toEqual(['open', answer])
    expect(breaker).toMatchObject({ state: 'closed', failures: 0 })
    expect([changes, await ask()]).toEqual([['open', 'half-open', 'closed'], 'answer'])
  })

  test('refuses all other calls during the trial', async () => {
    const { breaker, ask, askLater, open, calls } = start()
    await open()
    breaker.tryNow()
    const settle = askLater()
    expect(breaker.state).toBe('half-open')
    breaker.tryNow()
    clock.elapse(10 * TIMEOUT_MS)
    expect([await Promise.all([ask(), ask(), ask()]), calls()]).toEqual([Array(3).fill(REFUSED), 4])
    expect([await settle(), await ask()]).toEqual(['answer', 'answer'])
  })

  test('opens again when the trial fails, for the whole timeout', async () => {
    const { breaker, ask, open, changes, calls } = start()
    await open()
    clock.elapse(TIMEOUT_MS)
    expect(await ask(outage)).toBe('Redis: deadline')
    expect(breaker).toMatchObject({ state: 'open', failures: 4 })
    expect(changes).toEqual(['open', 'half-open', 'open'])
    clock.elapse(TIMEOUT_MS - 1)
    expect(await ask()).toBe(REFUSED)
    expect(calls()).toBe(4)
    clock.elapse(1)
    expect(await ask()).toBe('answer')
  })

  test('accepts tryNow after each failed trial', async () => {
    const { breaker, ask, open } = start()
    await open()
    for (let count = 0; count < 5; count += 1) {
      breaker.tryNow()
      expect([await ask(outage), await ask()]).toEqual(['Redis: deadline', REFUSED])
    }
    breaker.tryNow()
    expect(await ask()).toBe('answer')
  })

  test('ignores a tryNow from before it opened', async () => {
    const { breaker, ask, open, changes } = start()
    breaker.tryNow()
    await open()
    expect(changes).toEqual(['open'])
    expect(await ask()).toBe(REFUSED)
  })
})

describe('a late outcome of a call from before the breaker opened', () => {
  const outcomes = [
    ['an answer', success],
    ['a failure', outage],
    ['an error about the data', dataError],
  ] as const

  test.for(outcomes)('does not change the open state: %s', async ([, late]) => {
    const { breaker, ask, askLater, open, changes, calls } = start()
    const settle = askLater(late)
    await open()
    await settle()
    expect(breaker).toMatchObject({ state: 'open', failures: 3 })
    expect(changes).toEqual(['open'])
    expect(await ask()).toBe(REFUSED)
    expect(calls()).toBe(4)
  })

  test.for(outcomes)('does not decide the trial: %s', async ([, late]) => {
    const { breaker, askLater, open, changes } = start()
    const settle = askLater(late)
    await open()
    breaker.tryNow()
    const settleTrial = askLater()
    await settle()
    expect(breaker).toMatchObject({ state: 'half-open', failures: 3 })
    await settleTrial()
    expect(changes).toEqual(['open', 'half-open', 'closed'])
  })
})

describe('a flapping breaker', () => {
  async function canTryNow({ breaker, ask }: ReturnType<typeof start>) {
    breaker.tryNow()
    return (await ask(outage)) === 'Redis: deadline'
  }

  test('delays tryNow longer at each opening soon after closing, up to 5 s', async () => {
    const started = start({ threshold: 1 })
    await started.open()
    await started.close()
    for (const pauseMs of [1000, 2000, 4000, 5000, 5000]) {
      await started.open()
      clock.elapse(pauseMs - 1)
      expect(await canTryNow(started), `${pauseMs - 1}`).toBe(false)
      clock.elapse(1)
      await started.close()
      expect(started.breaker.state, `${pauseMs}`).toBe('closed')
    }
  })

  test('accepts tryNow after a failed trial, though the pause is longer than the timeout', async () => {
    const started = start({ threshold: 1, timeoutMs: 500 })
    await started.open()
    await started.close()
    await started.open()
    clock.elapse(500)
    expect([await started.ask(outage), await canTryNow(started)]).toEqual(['Redis: deadline', true])
  })

  test('never delays tryNow beyond its timeout', async () => {
    const started = start({ threshold: 1, timeoutMs: 3000 })
    await started.open()
    for (let count = 0; count < 20; count += 1) {
      clock.elapse(3000)
      await started.close()
      expect(started.breaker.state).toBe('closed')
      await started.open()
    }
    clock.elapse(2999)
    expect(await canTryNow(started)).toBe(false)
    clock.elapse(1)
    expect(await started.ask()).toBe('answer')
  })

  test.for([
    [9999, false],
    [10_000, true],
  ] as const)('that was closed for %i ms allows a trial at once: %s', async (row) => {
    const [closedMs, isAtOnce] = row
    const started = start({ threshold: 1 })
    await started.open()
    await started.close()
    await started.open()
    clock.elapse(1000)
    await started.close()
    clock.elapse(closedMs)
    await started.open()
    expect(await canTryNow(started)).toBe(isAtOnce)
  })
})

test('a breaker that is switched off passes every call on', async () => {
  for (let count = 0; count < 20; count += 1)
    await expect(NO_BREAKER.run(outage)).rejects.toThrow('Redis: deadline')
  NO_BREAKER.tryNow()
  expect(await NO_BREAKER.run(success)).toBe('answer')
  expect(NO_BREAKER).toMatchObject({ state: 'closed', failures: 0 })
})
