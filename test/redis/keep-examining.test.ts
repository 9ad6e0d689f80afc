import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { type Examination } from '../../src/redis/examine/examine.ts'
import { keepExamining } from '../../src/redis/examine/keep-examining.ts'
import { startRedis } from '../support/redis.ts'
import { openConnected } from '../support/redis-state.ts'

afterEach(() => {
  vi.useRealTimers()
})

const MINUTE_MS = 60_000

test('the self-test is repeated after about a minute, and after ten seconds where it found something', async () => {
  await using redis = await startRedis()
  await using opened = await openConnected(redis)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const made: Examination[] = []
  const others: number[] = []
  const examination = keepExamining({
    connection: opened.connection,
    names: { prefix: 'vestibule:', channel: 'vestibule:0:events', fleetChannel: 'vestibule:fleet' },
    readTimeoutMs: 3000,
    now: Date.now,
    observer: {
      onExamined: (each) => made.push(each),
      onAnotherServer: () => others.push(made.length),
    },
  })
  async function untilMade(count: number) {
    while (made.length < count) await turn()
    // Waits until the next one is scheduled.
    await turn()
  }
  async function commands() {
    return Number(/total_commands_processed:(\d+)/.exec(await redis.cli('INFO', 'stats'))?.[1])
  }

  examination.start()
  await untilMade(1)
  await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  vi.advanceTimersByTime(0.7 * MINUTE_MS)
  await turn()
  expect(made.at(-1)?.findings).toEqual([])
  const before = await commands()
  vi.advanceTimersByTime(0.6 * MINUTE_MS)
  await untilMade(2)
  expect(examination.latest?.findings.map(({ code }) => code)).toEqual(['eviction'])
  const cost = (await commands()) - before
  process.stdout.write(`An examination is ${cost} commands\n`)
  expect(cost).toBeLessThan(40)

  await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  vi.advanceTimersByTime(10_000)
  await untilMade(3)
  expect(examination.latest?.findings).toEqual([])

  await opened.connection.close()
  vi.advanceTimersByTime(2 * MINUTE_MS)
  await turn()
  expect(opened.failures, 'a disconnected Redis is not examined').toEqual([])
  expect(vi.getTimerCount()).toBe(1)
  examination.stop()
  expect(vi.getTimerCount()).toBe(0)
  expect(others).toEqual([])
})
