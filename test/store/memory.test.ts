import { describe, expect, test } from 'vitest'
import { type MemoryBounds } from '../../src/store/memory/expiring-map.ts'
import { createMemoryGenerations } from '../../src/store/memory/generations.ts'
import { createMemoryLocks } from '../../src/store/memory/locks.ts'
import { createMemoryOneTimeKeys } from '../../src/store/memory/one-time-keys.ts'
import { createMemorySessionIndex } from '../../src/store/memory/session-index.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import { describeOneTimeKeys, describeSessionIndex, describeStore } from './contract.ts'
import { describeGenerations } from './generations-contract.ts'
import { describeListing } from './listing-contract.ts'
import { describeLocks } from './locks-contract.ts'
import { describeReplacement } from './replacement-contract.ts'

const ROOMY: MemoryBounds = { maxEntries: 100_000, maxBytes: 256 * 1024 * 1024 }

/** A clock that is set forward by hand. */
const createClock = () => {
  let nowMs = 1_000_000
  return {
    now: () => nowMs,
    elapse: (ms: number): Promise<void> => {
      nowMs += ms
      return Promise.resolve()
    },
  }
}

for (const describeOne of [describeStore, describeReplacement, describeListing]) {
  describeOne('memory', () => {
    const { now, elapse } = createClock()
    return { subject: createMemoryStore(ROOMY, now), elapse }
  })
}

describeOneTimeKeys('memory', () => {
  const { now, elapse } = createClock()
  return { subject: createMemoryOneTimeKeys(ROOMY, now), elapse }
})

describeLocks('memory', () => {
  const { now, elapse } = createClock()
  return { subject: createMemoryLocks(ROOMY, now), elapse }
})

describeGenerations('memory', () => {
  const { now, elapse } = createClock()
  return { subject: createMemoryGenerations(ROOMY, now), elapse }
})

describeSessionIndex('memory', () => {
  const { now, elapse } = createClock()
  return { subject: createMemorySessionIndex(ROOMY, now), elapse }
})

const FULL = expect.objectContaining({ name: 'AuthError', code: 'store_unavailable' }) as Error

describe('the bounds of the memory store', () => {
  const records = (bytes: number) => ({
    identity: Buffer.alloc(bytes),
    tokens: Buffer.alloc(0),
    metadata: Buffer.alloc(0),
  })
  const start = (bounds: Partial<MemoryBounds>) => {
    const clock = createClock()
    return { ...clock, store: createMemoryStore({ ...ROOMY, ...bounds }, clock.now) }
  }
  const isThere = async (store: ReturnType<typeof createMemoryStore>, digest: string) =>
    (await store.read(digest, ['identity'])).identity !== undefined

  test('by number: one too many is refused, and nobody is signed out for it', async () => {
    const { store } = start({ maxEntries: 3 })
    for (const digest of ['a', 'b', 'c']) await store.create(digest, records(1), 1000)
    await expect(store.create('d', records(1), 1000)).rejects.toThrow(FULL)
    for (const digest of ['a', 'b', 'c']) expect(await isThere(store, digest)).toBe(true)
    expect(await isThere(store, 'd')).toBe(false)
  })

  test('by bytes: what does not fit is refused, and something smaller still fits', async () => {
    const { store } = start({ maxBytes: 4000 })
    await store.create('a', records(3000), 1000)
    await expect(store.create('b', records(3000), 1000)).rejects.toThrow(FULL)
    await store.create('c', records(100), 1000)
    expect(await isThere(store, 'a')).toBe(true)
    expect(await isThere(store, 'b')).toBe(false)
    expect(await isThere(store, 'c')).toBe(true)
  })

  test('all three records count', async () => {
    const { store } = start({ maxBytes: 2000 })
    const part = Buffer.alloc(700)
    await expect(
      store.create('a', { identity: part, tokens: part, metadata: part }, 1000),
    ).rejects.toThrow(FULL)
  })

  test('small sessions have a weight too', async () => {
    const { store } = start({ maxBytes: 1000 })
    for (const digest of ['a', 'b', 'c', 'd', 'e'].slice(0, 4)) {
      await store.create(digest, records(1), 1000)
    }
    await expect(store.create('e', records(1), 1000)).rejects.toThrow(FULL)
  })

  test('a session that has ended makes room, by its end and by its time', async () => {
    const { store, elapse } = start({ maxEntries: 2, maxBytes: 3000 })
    await store.create('a', records(2000), 1000)
    await store.end('a', 1000)
    await store.create('b', records(2000), 1000)
    await elapse(1001)
    await store.create('c', records(2000), 1000)
    expect(await isThere(store, 'c')).toBe(true)
  })

  test('a session that is written again does not count twice', async () => {
    const { store } = start({ maxEntries: 1, maxBytes: 3000 })
    await store.create('a', records(2000), 1000)
    await store.create('a', records(2000), 1000)
    expect(await isThere(store, 'a')).toBe(true)
  })

  test('a write that is refused leaves what was there', async () => {
    const { store } = start({ maxBytes: 3000 })
    await store.create('a', records(100), 1000)
    await expect(store.create('a', records(5000), 1000)).rejects.toThrow(FULL)
    expect(await isThere(store, 'a')).toBe(true)
  })

  test('a session may be replaced where it fits, and is not counted twice', async () => {
    const { store } = start({ maxEntries: 1, maxBytes: 3000 })
    const { tokens: before } = records(2000)
    await store.create('a', records(2000), 1000)
    const after = { identity: Buffer.alloc(2000), tokens: Buffer.of(1) }
    expect(await store.replace('a', after, before)).toBe('replaced')
    const large = { identity: Buffer.alloc(5000), tokens: Buffer.of(2) }
    await expect(store.replace('a', large, after.tokens)).rejects.toThrow(FULL)
    expect(await store.read('a', ['identity', 'tokens'])).toEqual(after)
  })

  test('what has passed unread for a minute goes with the next write', async () => {
    const { store, elapse } = start({ maxBytes: 10_000 })
    for (const digest of ['a', 'b', 'c', 'd']) await store.create(digest, records(2000), 1000)
    await elapse(60_001)
    for (const digest of ['e', 'f', 'g', 'h']) await store.create(digest, records(2000), 1000)
    expect(await isThere(store, 'a')).toBe(false)
    expect(await isThere(store, 'e')).toBe(true)
  })

  test('what makes room is what has ended, and nothing else', async () => {
    const { store, elapse } = start({ maxEntries: 2 })
    await store.create('a', records(1), 1500)
    await store.create('b', records(1), 60_000)
    await elapse(1501)
    await store.create('c', records(1), 60_000)
    for (const digest of ['b', 'c']) expect(await isThere(store, digest)).toBe(true)
    await elapse(1501)
    await expect(store.create('d', records(1), 60_000)).rejects.toThrow(FULL)
    for (const digest of ['b', 'c']) expect(await isThere(store, digest)).toBe(true)
  })

  test('without bounds of its own it takes what a single replica needs', async () => {
    const store = createMemoryStore()
    await store.create('a', records(1024), 60_000)
    expect(await isThere(store, 'a')).toBe(true)
  })
})

describe('the list of sessions in memory', () => {
  test('has what was created and has not ended, and nothing else', async () => {
    const { now, elapse } = createClock()
    const store = createMemoryStore(ROOMY, now)
    expect((await Array.fromAsync(store.list())).flat()).toEqual([])
    const records = { identity: Buffer.of(1), tokens: Buffer.of(2), metadata: Buffer.of(3) }
    for (const digest of ['a', 'b', 'c']) await store.create(digest, records, 1000)
    await store.create('d', records, 500)
    await store.end('b', 1000)
    await elapse(501)
    expect((await Array.fromAsync(store.list())).flat()).toEqual(['a', 'c'])
  })
})

describe('the bounds of marks in memory', () => {
  test('one too many is refused as an error, never as a replay, and no mark is forgotten', async () => {
    const { now, elapse } = createClock()
    const keys = createMemoryOneTimeKeys({ maxEntries: 2, maxBytes: 10_000 }, now)
    expect(await keys.consume('login', 'a', '1', 1000)).toBe(true)
    expect(await keys.consume('login', 'b', '1', 1000)).toBe(true)
    await expect(keys.consume('login', 'c', '1', 1000)).rejects.toThrow(FULL)
    expect(await keys.consume('login', 'a', '2', 1000)).toBe(false)
    expect(await keys.consume('login', 'a', '1', 1000)).toBe(true)
    await elapse(1001)
    expect(await keys.consume('login', 'c', '1', 1000)).toBe(true)
  })

  test('a mark that was taken back makes room', async () => {
    const keys = createMemoryOneTimeKeys({ maxEntries: 1, maxBytes: 10_000 })
    expect(await keys.consume('login', 'a', '1', 1000)).toBe(true)
    await keys.release('login', 'a', '1')
    expect(await keys.consume('login', 'b', '1', 1000)).toBe(true)
  })
})

describe('the bounds of locks in memory', () => {
  test('one too many is refused as an error, and nobody loses one', async () => {
    const locks = createMemoryLocks({ maxEntries: 1, maxBytes: 10_000 })
    expect(await locks.acquire('a', '1', 'note', 1000)).toEqual({ isOurs: true })
    await expect(locks.acquire('b', '1', 'note', 1000)).rejects.toThrow(FULL)
    expect(await locks.acquire('a', '2', 'note', 1000)).toMatchObject({ isOurs: false })
    await locks.release('a', '1')
    expect(await locks.acquire('b', '1', 'note', 1000)).toEqual({ isOurs: true })
  })

  test('without bounds of their own there are as many as a single replica needs', async () => {
    const locks = createMemoryLocks()
    for (let count = 0; count < 1000; count += 1) {
      expect(await locks.acquire(`d${count}`, '1', 'note', 1000)).toEqual({ isOurs: true })
    }
  })
})

describe('the bounds of generations in memory', () => {
  test('one user too many is an error, and no end is forgotten for it', async () => {
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

  test('ending everything needs no room', async () => {
    const generations = createMemoryGenerations({ maxEntries: 0, maxBytes: 0 })
    const before = await generations.current()
    await generations.advance(undefined, 1000)
    expect(await generations.oldestOf('a')).toBeGreaterThan(before)
  })

  test('without bounds of their own they take what a single replica needs', async () => {
    const generations = createMemoryGenerations()
    for (let count = 0; count < 1000; count += 1) await generations.advance(`u${count}`, 1000)
    expect(await generations.current()).toBe(1000)
  })
})

describe('the bounds of the index in memory', () => {
  test('one owner too many is refused, and what was there stays', async () => {
    const index = createMemorySessionIndex({ maxEntries: 2, maxBytes: 10_000 })
    await index.add('a', { user: '1' }, 1000)
    await index.add('b', { user: '2' }, 1000)
    await expect(index.add('c', { user: '3' }, 1000)).rejects.toThrow(FULL)
    await index.add('d', { user: '1' }, 1000)
    expect(await index.list('user', '1')).toEqual(['a', 'd'])
    expect(await index.list('user', '2')).toEqual(['b'])
    expect(await index.list('user', '3')).toEqual([])
  })

  test('every session of an owner has a weight, and one that is removed gives it back', async () => {
    const index = createMemorySessionIndex({ maxEntries: 10, maxBytes: 1000 })
    for (const digest of ['a', 'b', 'c', 'd']) await index.add(digest, { user: '1' }, 1000)
    await expect(index.add('e', { user: '1' }, 1000)).rejects.toThrow(FULL)
    await index.remove('a', { user: '1' })
    await index.add('e', { user: '1' }, 1000)
    expect(await index.list('user', '1')).toEqual(['b', 'c', 'd', 'e'])
  })

  test('without bounds of its own it takes what a single replica needs', async () => {
    const index = createMemorySessionIndex()
    await index.add('a', { user: '1' }, 1000)
    expect(await index.list('user', '1')).toEqual(['a'])
  })
})
