import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, test, vi } from 'vitest'
import type { Examination } from '../../src/redis/examine/examine.ts'
import { keepExamining } from '../../src/redis/examine/keep-examining.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

function examined(runId: string, ...messages: readonly string[]): Examination {
  const findings = messages.map((message) => ({ code: 'refused', message }) as const)
  return { runIds: [runId], findings }
}

const LOADING = 'SET is refused: loading'
const FULL = 'SET is refused: full'
const MINUTE_MS = 60_000

test.for<[string, readonly (Examination | undefined)[], number[]]>([
  ['the same server', [examined('a'), examined('a', FULL), examined('a')], []],
  ['another server', [examined('a'), examined('b'), examined('b')], [2]],
  [
    'another server that loads first',
    [examined('a'), examined('b', LOADING), examined('b', LOADING), examined('b')],
    [2, 4],
  ],
  [
    'another server that is full after loading',
    [examined('a'), examined('b', LOADING), examined('b', FULL)],
    [2, 3],
  ],
  ['another server that does not answer at first', [examined('a'), undefined, examined('b')], [3]],
])(
  'another server is reported once it answers, and when its refusals change: %s',
  async ([, script, told], { expect }) => {
    let asked = 0
    const others: number[] = []
    const examination = keepExamining({
      connection: {
        isConnected: true,
        async runAtEach<T>() {
          const examination = script[asked++]
          if (!examination) throw new Error('no answer')
          return [examination] as T[]
        },
      },
      names: { prefix: '', channel: '', fleetChannel: '' },
      readTimeoutMs: 1000,
      now: () => 0,
      observer: { onExamined: () => undefined, onAnotherServer: () => others.push(asked) },
    })
    for (const step of script.keys()) {
      if (step < 2) examination.start()
      // Examines a new server again at once, and after a failure.
      else vi.advanceTimersByTime(others.length > 0 || !script[step - 1] ? 2000 : 2 * MINUTE_MS)
      await turn()
    }
    examination.stop()
    expect(others).toEqual(told)
  },
)
