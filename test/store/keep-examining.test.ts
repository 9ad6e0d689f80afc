import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, test, vi } from 'vitest'
import type { Examination } from '../../src/redis/examine/examine.ts'
import { keepExamining } from '../../src/redis/examine/keep-examining.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

const found = (runId: string, ...messages: readonly string[]): Examination => ({
  runIds: [runId],
  findings: messages.map((message) => ({ code: 'refused', message })),
})
const LOADING = 'SET is refused: loading'
const FULL = 'SET is refused: full'
const MINUTE_MS = 60_000

test.for<[string, readonly (Examination | undefined)[], number[]]>([
  ['the same server', [found('a'), found('a', FULL), found('a')], []],
  ['another one', [found('a'), found('b'), found('b')], [2]],
  [
    'one that loads first',
    [found('a'), found('b', LOADING), found('b', LOADING), found('b')],
    [2, 4],
  ],
  ['one that is full then', [found('a'), found('b', LOADING), found('b', FULL)], [2, 3]],
  ['one that does not answer at first', [found('a'), undefined, found('b')], [3]],
])(
  'another server is told what it may lack as soon as it can take it: %s',
  async ([, script, told], { expect }) => {
    let asked = 0
    const others: number[] = []
    const examination = keepExamining({
      connection: {
        isConnected: true,
        async runAtEach() {
          const made = script[asked++]
          if (!made) throw new Error('no answer')
          return [made]
        },
      } as unknown as Parameters<typeof keepExamining>[0]['connection'],
      names: { prefix: '', channel: '', fleetChannel: '' },
      readTimeoutMs: 1000,
      now: () => 0,
      observer: { onExamined: () => undefined, onAnotherServer: () => others.push(asked) },
    })
    for (const step of script.keys()) {
      if (step < 2) examination.start()
      // A server that comes or cannot take it is looked at again at once.
      else vi.advanceTimersByTime(others.length > 0 || !script[step - 1] ? 2000 : 2 * MINUTE_MS)
      await turn()
    }
    examination.stop()
    expect(others).toEqual(told)
  },
)
