import { describe, expect, test } from 'vitest'
import { boundsWithin, type Purpose } from '../../src/compose/memory-budget.ts'
import { createMemoryDenyList } from '../../src/store/memory/deny-list.ts'
import { createMemoryEventLog } from '../../src/store/memory/event-log.ts'
import { type MemoryBounds, type MonotonicClock } from '../../src/store/memory/expiring-map.ts'
import { createMemoryGenerations } from '../../src/store/memory/generations.ts'
import { createMemoryLocks } from '../../src/store/memory/locks.ts'
import { createMemoryOneTimeKeys } from '../../src/store/memory/one-time-keys.ts'
import { createMemorySessionsByOwner } from '../../src/store/memory/sessions-by-owner.ts'
import { openMemoryState } from '../../src/store/memory/state.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import { SETTLED } from '../../src/store/settling.ts'
import type { StateListeners } from '../../src/store/shared-state.ts'
import type { Store } from '../../src/store/store.ts'
import { ROOMY } from '../support/memory-bounds.ts'
import { describeDenyList } from './contracts/deny-list.ts'
import { describeEventLog } from './contracts/event-log.ts'
import { describeGenerations } from './contracts/generations.ts'
import { describeListing } from './contracts/listing.ts'
import { describeLocks } from './contracts/locks.ts'
import { describeOneTimeKeys } from './contracts/one-time-keys.ts'
import { describeReplacement } from './contracts/replacement.ts'
import { describeSessionsByOwner } from './contracts/sessions-by-owner.ts'
import { describeStore } from './contracts/store.ts'

const RECORDS = { identity: Buffer.alloc(1024), tokens: Buffer.of(1), metadata: Buffer.of(2) }
const FULL = expect.objectContaining({ name: 'AuthError', code: 'store_unavailable' }) as Error

function createClock() {
  let nowMs = 1_000_000
  return { now: () => nowMs, elapse: async (ms: number): Promise<void> => void (nowMs += ms) }
}

const over =
  <T>(create: (bounds: MemoryBounds, now: MonotonicClock) => T) =>
  () => {
    const { now, elapse } = createClock()
    return { port: create(ROOMY, now), elapse }
  }

describeStore('memory', over(createMemoryStore))
describeReplacement('memory', over(createMemoryStore))
describeListing('memory', over(createMemoryStore))
describeOneTimeKeys('memory', over(createMemoryOneTimeKeys))
describeLocks('memory', over(createMemoryLocks))
describeGenerations('memory', over(createMemoryGenerations))
describeSessionsByOwner('memory', over(createMemorySessionsByOwner))
describeDenyList(
  'memory',
  over((_, now) => createMemoryDenyList(now)),
)
describeEventLog(
  'memory',
  over((_, now) => createMemoryEventLog(now)),
)

describe('the bounds of the memory store', () => {
  const records = (bytes: number, tokenBytes = 0, metadataBytes = 0) => ({
    identity: Buffer.alloc(bytes),
    tokens: Buffer.alloc(tokenBytes),
    metadata: Buffer.alloc(metadataBytes),
  })
  const start = (bounds: Partial<MemoryBounds>) => {
    const clock = createClock()
    return { ...clock, store: createMemoryStore({ ...ROOMY, ...bounds }, clock.now) }
  }
  async function fill(store: Store, digests: string, bytes: number, ttlMs = 1000): Promise<void> {
    for (const digest of digests) await store.create(digest, records(bytes), ttlMs)
  }
  async function present(store: Store, digests: string): Promise<string> {
    const found = await Promise.all([...digests].map((digest) => store.read(digest, ['identity'])))
    return [...digests].filter((_, at) => found[at]?.identity !== undefined).join('')
  }

  test('a session above the number is refused, and nobody is signed out', async () => {
    const { store } = start({ maxEntries: 3 })
    await fill(store, 'abc', 1)
    await expect(fill(store, 'd', 1)).rejects.toThrow(FULL)
    expect(await present(store, 'abcd')).toBe('abc')
  })

  test('a session above the bytes is refused, and a smaller one fits', async () => {
    const { store } = start({ maxBytes: 4000 })
    await fill(store, 'a', 3000)
    await expect(fill(store, 'b', 3000)).rejects.toThrow(FULL)
    await fill(store, 'c', 100)
    expect(await present(store, 'abc')).toBe('ac')
  })

  test('all three records of a session count, and each session has an overhead', async () => {
    const { store } = start({ maxBytes: 2400 })
    await expect(store.create('a', records(700, 700, 700), 1000)).rejects.toThrow(FULL)
    await fill(store, 'abcdef', 1)
    await expect(fill(store, 'g', 1)).rejects.toThrow(FULL)
  })

  test('an ended and an expired session make room', async () => {
    const { store, elapse } = start({ maxEntries: 2, maxBytes: 3000 })
    await fill(store, 'a', 2000)
    await store.end('a', 1000, 'operator')
    await fill(store, 'b', 2000)
    await elapse(1001)
    await fill(store, 'c', 2000)
    expect(await present(store, 'c')).toBe('c')
  })

  test('a session that is written again counts once, and a refused write leaves it', async () => {
    const { store } = start({ maxEntries: 1, maxBytes: 3000 })
    await fill(store, 'aa', 2000)
    await expect(fill(store, 'a', 5000)).rejects.toThrow(FULL)
    expect(await present(store, 'a')).toBe('a')
  })

  test('a replaced session counts once, and a replacement that does not fit is refused', async () => {
    const { store } = start({ maxEntries: 1, maxBytes: 3000 })
    await fill(store, 'a', 2000)
    const after = { identity: Buffer.alloc(2000), tokens: Buffer.of(1) }
    expect(await store.replace('a', after, Buffer.alloc(0))).toBe('replaced')
    const large = { identity: Buffer.alloc(5000), tokens: Buffer.of(2) }
    await expect(store.replace('a', large, after.tokens)).rejects.toThrow(FULL)
    expect(await store.read('a', ['identity', 'tokens'])).toEqual(after)
  })

  test('the next write after a minute sweeps what has expired unread', async () => {
    const { store, elapse } = start({ maxBytes: 10_000 })
    await fill(store, 'abcd', 2000)
    await elapse(60_001)
    await fill(store, 'efgh', 2000)
    expect(await present(store, 'ae')).toBe('e')
  })

  test('only expired sessions make room', async () => {
    const { store, elapse } = start({ maxEntries: 2 })
    await fill(store, 'a', 1, 1500)
    await fill(store, 'b', 1, 60_000)
    await elapse(1501)
    await fill(store, 'c', 1, 60_000)
    expect(await present(store, 'bc')).toBe('bc')
    await elapse(1501)
    await expect(fill(store, 'd', 1, 60_000)).rejects.toThrow(FULL)
    expect(await present(store, 'bc')).toBe('bc')
  })
})

describe('the bounds of one-time keys in memory', () => {
  const start = (maxEntries: number) => {
    const { now, elapse } = createClock()
    const keys = createMemoryOneTimeKeys({ maxEntries, maxBytes: 10_000 }, now)
    return {
      keys,
      elapse,
      consume: (key: string, by = '1') => keys.consume({ kind: 'login', key, attemptId: by }, 1000),
    }
  }

  test('a key above the number is an error, never a replay, and no mark is forgotten', async () => {
    const { consume, elapse } = start(2)
    expect([await consume('a'), await consume('b')]).toEqual([true, true])
    await expect(consume('c')).rejects.toThrow(FULL)
    expect([await consume('a', '2'), await consume('a')]).toEqual([false, true])
    await elapse(1001)
    expect(await consume('c')).toBe(true)
  })

  test('a released mark makes room', async () => {
    const { keys, consume } = start(1)
    expect(await consume('a')).toBe(true)
    await keys.release({ kind: 'login', key: 'a', attemptId: '1' })
    expect(await consume('b')).toBe(true)
  })
})

describe('the bounds of locks in memory', () => {
  test('a lock above the number is an error, and nobody loses one', async () => {
    const locks = createMemoryLocks({ maxEntries: 1, maxBytes: 10_000 })
    const acquire = (digest: string, owner = '1') =>
      locks.acquire(digest, { owner, note: 'note', ttlMs: 1000 })
    expect(await acquire('a')).toEqual({ isOurs: true })
    await expect(acquire('b')).rejects.toThrow(FULL)
    expect(await acquire('a', '2')).toMatchObject({ isOurs: false })
    await locks.release('a', '1')
    expect(await acquire('b')).toEqual({ isOurs: true })
  })
})

test('tombstones and orders make room again long before the lifetime of a session', async () => {
  const { now, elapse } = createClock()
  const bounds = { maxEntries: 1, maxBytes: 10_000 }
  const store = createMemoryStore(bounds, now)
  const generations = createMemoryGenerations(bounds, now)
  const DAY_MS = 86_400_000
  const endBoth = async (name: string) => {
    await store.end(name, DAY_MS, 'operator')
    await generations.advance(name, DAY_MS)
  }
  await endBoth('a')
  await expect(store.end('b', DAY_MS, 'operator')).rejects.toThrow(FULL)
  await expect(generations.advance('b', DAY_MS)).rejects.toThrow(FULL)
  await elapse(15 * 60 * 1000)
  await endBoth('b')
})

describe('the bounds of generations in memory', () => {
  test('a user above the number is an error, and no order is forgotten', async () => {
    const { now, elapse } = createClock()
    const generations = createMemoryGenerations({ maxEntries: 1, maxBytes: 10_000 }, now)
    await generations.advance('a', 2000)
    const ofFirst = await generations.oldestOf('a')
    await expect(generations.advance('b', 2000)).rejects.toThrow(FULL)
    expect(await generations.oldestOf('a')).toBe(ofFirst)
    await elapse(2001)
    await generations.advance('b', 2000)
    expect(await generations.oldestOf('b')).toBe(await generations.current())
  })

  test('an order of an unknown moment ends what has begun so far', async () => {
    const generations = createMemoryGenerations(ROOMY)
    await generations.advance('a', 1000)
    const asked = { atMs: 0, generation: undefined, uncertainty: 0 }
    expect(await generations.advance('b', 1000, asked)).toBe(await generations.current())
  })

  test('an order for everybody needs no room', async () => {
    const generations = createMemoryGenerations({ maxEntries: 0, maxBytes: 0 })
    const before = await generations.current()
    await generations.advance(undefined, 1000)
    expect(await generations.oldestOf('a')).toBeGreaterThan(before)
  })
})

describe('the bounds of the sessions by owner in memory', () => {
  test('an owner above the number is refused, and the entries of the others stay', async () => {
    const index = createMemorySessionsByOwner({ maxEntries: 2, maxBytes: 10_000 })
    await index.add('a', { user: '1' }, 1000)
    await index.add('b', { user: '2' }, 1000)
    await expect(index.add('c', { user: '3' }, 1000)).rejects.toThrow(FULL)
    await index.add('d', { user: '1' }, 1000)
    const lists = await Promise.all(['1', '2', '3'].map((user) => index.list('user', user)))
    expect(lists).toEqual([['a', 'd'], ['b'], []])
  })

  test('each entry of an owner has an overhead, which its removal frees', async () => {
    const index = createMemorySessionsByOwner({ maxEntries: 10, maxBytes: 1000 })
    for (const digest of 'abcd') await index.add(digest, { user: '1' }, 1000)
    await expect(index.add('e', { user: '1' }, 1000)).rejects.toThrow(FULL)
    await index.remove('a', { user: '1' })
    await index.add('e', { user: '1' }, 1000)
    expect(await index.list('user', '1')).toEqual(['b', 'c', 'd', 'e'])
  })
})

test('the state in memory is available and settled, and has nobody to tell', async () => {
  const state = openMemoryState({
    store: ROOMY,
    index: ROOMY,
    markers: ROOMY,
    locks: ROOMY,
    generations: ROOMY,
  })
  const { isAvailable, settling, backplane } = state
  expect([isAvailable, settling, backplane.subscription]).toEqual([true, SETTLED, 0])
  const told = [backplane.publish({ type: 'clear-all' }), state.subscribe({} as StateListeners)]
  const left = state.leave()
  const all = await Promise.all([...told, state.firstAttempt, state.close()])
  expect([left, ...all]).toEqual(Array(5).fill(undefined))
})

test('the bounds of the smallest heap suffice for a thousand sessions', async () => {
  const smallest = (purpose: Purpose) => boundsWithin(purpose, 0)
  const locks = createMemoryLocks(smallest('locks'))
  const generations = createMemoryGenerations(smallest('generations'))
  const store = createMemoryStore(smallest('store'))
  const index = createMemorySessionsByOwner(smallest('index'))
  for (let count = 0; count < 1000; count += 1) {
    const lease = { owner: '1', note: 'note', ttlMs: 60_000 }
    expect(await locks.acquire(`d${count}`, lease)).toEqual({ isOurs: true })
    await generations.advance(`u${count}`, 60_000)
    await index.add(`d${count}`, { user: '1' }, 60_000)
    await store.create(`d${count}`, RECORDS, 60_000)
  }
  expect(await generations.current()).toBe(1000)
  expect(await index.list('user', '1')).toHaveLength(1000)
  expect(await store.read('d0', ['identity'])).toEqual({ identity: RECORDS.identity })
})
