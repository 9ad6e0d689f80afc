import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { createRefreshLocks, SILENT_MS } from '../../../src/session/refresh/locks.ts'
import type { Locks } from '../../../src/store/locks.ts'
import { createMemoryLocks } from '../../../src/store/memory/locks.ts'
import { SETTLED, type Settling } from '../../../src/store/settling.ts'
import { ROOMY } from '../../support/memory-bounds.ts'
import { useMonotonicClock } from '../../support/monotonic-clock.ts'
import { away, outage } from '../../support/started-sessions.ts'

const HOUR_MS = 3_600_000

const clock = useMonotonicClock('with intervals')

/** Replicas that share locks, each with its own idea of when the store was last away. */
const start = () => {
  const memory = createMemoryLocks(ROOMY)
  let failing: Partial<Record<keyof Locks, () => never>> = {}
  const locks: Locks = {
    acquire: async (...given) => failing.acquire?.() ?? memory.acquire(...given),
    takeOver: async (...given) => failing.takeOver?.() ?? memory.takeOver(...given),
    hold: async (...given) => failing.hold?.() ?? memory.hold(...given),
    release: async (...given) => failing.release?.() ?? memory.release(...given),
  }
  const replica = () => {
    let interruptions = 1
    const ending = new AbortController()
    const settling: Settling = {
      ...SETTLED,
      get interruptions() {
        return interruptions
      },
    }
    return {
      ...createRefreshLocks({ locks, settling, ending: ending.signal }),
      disturb: () => void (interruptions += 1),
      end: () => ending.abort(),
    }
  }
  const take = async (by: ReturnType<typeof replica>) => {
    const lock = await by.take('a')
    if (!lock) throw new Error('somebody else has it')
    return lock
  }
  return {
    memory,
    replica,
    one: replica(),
    other: replica(),
    take,
    fail: (those: typeof failing = {}) => void (failing = those),
    /** Returns the note of the lock; `undefined` where nobody has it. */
    mark: async () => {
      const found = await memory.acquire('a', { owner: 'looking', note: 'x', ttlMs: 1 })
      if (found.isOurs) await memory.release('a', 'looking')
      return found.isOurs ? undefined : found.value.replace(/^\S+ /, '')
    },
  }
}

const beat = async (): Promise<void> => {
  await vi.advanceTimersByTimeAsync(1000)
  await turn()
}

describe('C65: who has asked the provider', () => {
  test('is heard of each second, and keeps the lock for as long as that', async () => {
    const { one, other, take, mark } = start()
    const lock = await take(one)
    expect([await mark(), await lock.markAsking()]).toEqual(['taken', true])
    for (let beats = 1; beats <= 2 * (SILENT_MS / 1000); beats += 1) {
      expect(await other.take('a')).toBeUndefined()
      clock.elapse(1000)
      await beat()
      expect(await mark()).toBe(`asking ${beats}`)
    }
    await lock.release(0)
    expect([await mark(), vi.getTimerCount()]).toEqual([undefined, 0])
  })

  test('has died when nothing is heard of them for a minute of watching', async () => {
    const { one, other, take } = start()
    await (await take(one)).markAsking()
    expect(await other.take('a')).toBeUndefined()
    clock.elapse(SILENT_MS - 1)
    expect(await other.take('a')).toBeUndefined()
    clock.elapse(1)
    expect(await other.take('a')).toMatchObject({ isTakenOver: true })
  })

  const outages = ['away', 'acquire', 'takeOver'] as const
  test.for(outages)('is watched anew after an outage: %s', async (how) => {
    const { one, other, take, fail } = start()
    await (await take(one)).markAsking()
    expect(await other.take('a')).toBeUndefined()
    clock.elapse(SILENT_MS)
    if (how === 'away') other.disturb()
    else {
      fail({ [how]: outage })
      await expect(other.take('a')).rejects.toThrow()
      fail()
    }
    expect(await other.take('a')).toBeUndefined()
    clock.elapse(SILENT_MS)
    expect(await other.take('a')).toMatchObject({ isTakenOver: true })
  })

  test('is succeeded by one of those who watch', async () => {
    const { one, other, replica, take } = start()
    const third = replica()
    await (await take(one)).markAsking()
    await Promise.all([other.take('a'), third.take('a')])
    clock.elapse(SILENT_MS)
    const taken = await Promise.all([other.take('a'), third.take('a')])
    expect(taken.filter((lock) => lock !== undefined)).toHaveLength(1)
  })

  test('has the lock again where the store has lost it in an outage, and not where nothing was away', async () => {
    const { memory, one, take, mark } = start()
    const lock = await take(one)
    await lock.markAsking()
    const loseIt = async () => {
      const { value: found } = (await memory.acquire('a', { owner: 'x', note: 'x', ttlMs: 1 })) as {
        value: string
      }
      await memory.release('a', String(found.split(' ')[0]))
    }
    await loseIt()
    expect([await lock.isStillOurs(), await mark()]).toEqual([false, undefined])
    one.disturb()
    await beat()
    expect(await mark()).toMatch(/^asking/)
    await loseIt()
    expect(await lock.isStillOurs()).toBe(false)
  })

  test('says so before, and not where an outage came between', async () => {
    const { one, other, take, mark, fail } = start()
    const lock = await take(one)
    one.disturb()
    expect(await lock.markAsking()).toBe(false)
    await lock.release(0)
    const late = await take(other)
    fail({ hold: () => (other.disturb(), fail(), undefined as never) })
    expect(await late.markAsking()).toBe(false)
    await late.release(0)
    expect(await mark()).toBeUndefined()
  })
})

test('who has not asked yet has spent nothing: the lock ends by itself', async () => {
  const { one, other, take } = start()
  const lock = await take(one)
  clock.elapse(10_000)
  expect(await other.take('a')).toMatchObject({ isTakenOver: false })
  expect(await lock.markAsking()).toBe(false)
})

describe('who lets go', () => {
  test('may keep everybody away for some time, however long nobody is heard of', async () => {
    const { one, other, take, mark } = start()
    const lock = await take(one)
    await lock.markAsking()
    await lock.release(2 * SILENT_MS)
    expect([await mark(), await other.take('a')]).toEqual(['resting', undefined])
    clock.elapse(2 * SILENT_MS - 1)
    expect(await other.take('a')).toBeUndefined()
    clock.elapse(1)
    expect(await other.take('a')).toMatchObject({ isTakenOver: false })
  })

  test('tries until the store has been told, and keeps nobody away for longer than was meant', async () => {
    const { one, take, mark, fail } = start()
    const lock = await take(one)
    await lock.markAsking()
    fail({ hold: () => (clock.elapse(5000), fail(), outage()) })
    await lock.release(4000)
    expect(await mark()).toBeUndefined()
  })

  test.for<[string, (one: ReturnType<typeof start>['one']) => never]>([
    ['the process ends', (one) => (one.end(), outage())],
    ['the lock has ended by itself', () => (clock.elapse(HOUR_MS), outage())],
    ['it would not help', () => away()],
  ])('leaves it when %s', async ([, happen]) => {
    const { one, take, fail } = start()
    const lock = await take(one)
    await lock.markAsking()
    let tries = 0
    fail({ release: () => (tries++, happen(one)) })
    await lock.release(0)
    expect(tries).toBe(1)
  })
})
