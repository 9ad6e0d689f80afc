import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Examination } from '../../../src/redis/examine/examine.ts'
import { keepExamining } from '../../../src/redis/examine/keep-examining.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

function examined(runId: string, ...messages: readonly string[]): Examination {
  const findings = messages.map((message) => ({ code: 'refused', message }) as const)
  return { runIds: [runId], findings }
}

const LOADING = 'SET is refused: loading'
const FULL = 'SET is refused: full'
const MINUTE_MS = 60_000

/** Starts with a connection whose examinations find what the script says, `undefined` where there is no answer. */
function start(script: readonly (Examination | undefined)[]) {
  const told = { asked: 0, others: [] as number[] }
  const connection = {
    isConnected: true,
    async runAtEach<T>() {
      const examination = script[told.asked++]
      if (!examination) throw new Error('no answer')
      return [examination] as T[]
    },
  }
  const examination = keepExamining({
    connection,
    names: { prefix: '', channel: '', fleetChannel: '' },
    readTimeoutMs: 1000,
    now: () => 0,
    observer: { onExamined: () => undefined, onAnotherServer: () => told.others.push(told.asked) },
  })
  const pass = async (ms: number) => (vi.advanceTimersByTime(ms), turn())
  return { told, connection, examination, pass }
}

test('the self-test is repeated after about a minute, and after ten seconds where it found something', async () => {
  const { told, connection, examination, pass } = start([
    examined('a'),
    examined('a', FULL),
    examined('a'),
  ])
  examination.start()
  for (const [ms, asked] of [
    [0, 1],
    [0.7 * MINUTE_MS, 1],
    [0.6 * MINUTE_MS, 2],
    [9999, 2],
    [1, 3],
  ] as const) {
    await pass(ms)
    expect([told.asked, examination.latest?.findings.length]).toEqual([asked, asked === 2 ? 1 : 0])
  }
  connection.isConnected = false
  await pass(2 * MINUTE_MS)
  expect([told, vi.getTimerCount()]).toEqual([{ asked: 3, others: [] }, 1])
  examination.stop()
  expect(vi.getTimerCount()).toBe(0)
})

const LOADING_FIRST = [examined('a'), examined('b', LOADING), examined('b', LOADING), examined('b')]
test.for<[string, readonly (Examination | undefined)[], number[]]>([
  ['the same server', [examined('a'), examined('a', FULL), examined('a')], []],
  ['another server', [examined('a'), examined('b'), examined('b')], [2]],
  ['one that loads first', LOADING_FIRST, [2, 4]],
  ['one full after loading', [LOADING_FIRST[0], LOADING_FIRST[1], examined('b', FULL)], [2, 3]],
  ['one that does not answer at first', [examined('a'), undefined, examined('b')], [3]],
])('another server is reported when its refusals change: %s', async ([, script, others]) => {
  const { told, examination, pass } = start(script)
  for (const step of script.keys()) {
    if (step < 2) examination.start()
    // Examines a new server again at once, and after a failure.
    const waitMs = told.others.length > 0 || !script[step - 1] ? 2000 : 2 * MINUTE_MS
    await pass(step < 2 ? 0 : waitMs)
  }
  examination.stop()
  expect(told.others).toEqual(others)
})
