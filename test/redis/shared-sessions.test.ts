import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { OutageError } from '../../src/errors.ts'
import { RAISE } from '../../src/store/redis/scripts.ts'
import { recordKey } from '../../src/store/store.ts'
import { prepared } from '../support/prepared.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type ObservedState, openState, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const LONG_MS = 3_600_000
const newDigest = (): string => randomBytes(32).toString('base64url')
const newTokens = () => ({ identity: randomBytes(8), tokens: randomBytes(8) })
const newRecords = () => ({ ...newTokens(), metadata: randomBytes(8) })

const open = async (...args: Parameters<typeof openState>): Promise<ObservedState> => {
  const observed = openState(...args)
  await until('a connection', () => observed.connected() > 0)
  return observed
}
const listed = async ({ state }: ObservedState): Promise<string[]> => {
  const portions = await Array.fromAsync(state.store.list())
  return [...new Set(portions.flat())].toSorted()
}
const createMany = async ({ state }: ObservedState, count: number): Promise<string[]> => {
  const digests = Array.from({ length: count }, newDigest)
  for (let at = 0; at < count; at += 500) {
    const portion = digests.slice(at, at + 500)
    await Promise.all(portion.map((digest) => state.store.create(digest, newRecords(), LONG_MS)))
  }
  return digests.toSorted()
}

const freshRedis = reuseRedis()
const stateTest = test
  .extend('redis', () => freshRedis())
  .extend('opened', async ({ redis }, { onCleanup }) => {
    const observed = await open(redis)
    onCleanup(() => observed.state.close())
    return observed
  })

const single = async () => {
  const { port, stop } = await startRedis()
  return { target: { port }, [Symbol.asyncDispose]: stop }
}

describe.for([
  ['a single server', single],
  ['Cluster', () => startCluster({ shards: 3 })],
] as const)('two replicas over %s', ([, reach]) => {
  const replicas = prepared(async () => {
    await using stack = new AsyncDisposableStack()
    const { target } = stack.use(await reach())
    const both = [stack.use(await open(target)), stack.use(await open(target))] as const
    const isHealthy = ({ state }: ObservedState) => state.backplane.epoch !== undefined
    await until('healthy backplanes', () => both.every(isHealthy))
    const kept = stack.move()
    const [{ state: first }, { state: second }] = both
    return { both, first, second, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  })

  test('only a session that one replica replaces is evicted at the other', async () => {
    const { both, first } = replicas()
    const [digest, changed, gone, last] = [newDigest(), newDigest(), newDigest(), newDigest()]
    for (const each of [digest, changed, last]) {
      await first.store.create(each, newRecords(), LONG_MS)
    }
    const replace = async (each: string) => {
      const { tokens } = await first.store.read(each, ['tokens'])
      return first.store.replace(each, newTokens(), tokens as Buffer)
    }
    expect(await replace(digest)).toBe('replaced')
    const before = randomBytes(9)
    expect(await first.store.replace(changed, newRecords(), before)).toBe('changed')
    expect(await first.store.replace(gone, newRecords(), before)).toBe('gone')
    expect(await replace(last)).toBe('replaced')
    const evicted = ({ messages }: ObservedState) =>
      messages.flatMap((message) => (message.type === 'evict' ? [message.session] : [])).toSorted()
    // In a cluster the messages come over different servers.
    await until('the evictions', () => evicted(both[1]).length >= 2)
    expect(both.map(evicted)).toEqual([[], [digest, last].toSorted()])
  })

  test('one of two that replace the same tokens wins, and both read its records', async () => {
    const { both, first } = replicas()
    for (let round = 0; round < 20; round += 1) {
      const [digest, records] = [newDigest(), newRecords()]
      await first.store.create(digest, records, LONG_MS)
      const written = both.map(newTokens)
      const outcomes = await Promise.all(
        both.map(({ state }, at) => state.store.replace(digest, written[at]!, records.tokens)),
      )
      expect(outcomes.toSorted()).toEqual(['changed', 'replaced'])
      for (const { state } of both) {
        const found = await state.store.read(digest, ['identity', 'tokens'])
        expect(found).toEqual(written[outcomes.indexOf('replaced')])
      }
    }
  })

  test('one holds the lock of a session until the session ends at either', async () => {
    const { first, second } = replicas()
    const digest = newDigest()
    await first.store.create(digest, newRecords(), LONG_MS)
    const acquire = async ({ locks }: typeof first, owner: string) =>
      (await locks.acquire(digest, owner, 'note', LONG_MS)).isOurs
    expect(await acquire(first, 'first')).toBe(true)
    expect(await acquire(second, 'second')).toBe(false)
    await second.store.end(digest, LONG_MS)
    expect(await first.locks.hold(digest, 'first', 'note', LONG_MS)).toBe(false)
  })

  test('the generation that one advances ends the sign-ins of the other', async () => {
    const { first, second } = replicas()
    for (const user of [newDigest(), undefined]) {
      const generation = await second.generations.current()
      await first.generations.advance(user, LONG_MS)
      const oldest = await second.generations.oldestOf(user ?? newDigest())
      expect(oldest).toBeGreaterThan(generation)
      expect(await second.generations.current()).toBeGreaterThanOrEqual(oldest)
    }
  })

  test('both list the same sessions', async () => {
    const { both } = replicas()
    const digests = new Set(await createMany(both[0], 500))
    for (const replica of both) {
      expect(digests.difference(new Set(await listed(replica)))).toEqual(new Set())
    }
  })
})

describe('the list of sessions in Redis', () => {
  stateTest('has the sessions of its own prefix and no other key', async ({ redis, opened }) => {
    await using longer = await open(redis, { prefix: 'vestibule:2:' })
    await using shorter = await open(redis, { prefix: 'vest' })
    const { store, sessionIndex, oneTimeKeys, locks, generations } = opened.state
    const digests = await createMany(opened, 5)
    const [digest, ended] = digests as [string, string]
    await store.end(ended, LONG_MS)
    await sessionIndex.add(digest, { user: digest, providerSession: digest }, LONG_MS)
    await oneTimeKeys.consume('login', digest, 'attempt', LONG_MS)
    await locks.acquire(digest, 'owner', 'note', LONG_MS)
    await generations.advance(digest, LONG_MS)
    await generations.advance(undefined, LONG_MS)
    const foreign = ['vestibule:s', '{foreign}:s', 'xvestibule:{foreign}:s', 'vestibule:{a}:s2']
    await redis.cli('MSET', ...foreign.flatMap((key) => [key, 'x']))
    const others = [await createMany(longer, 2), await createMany(shorter, 2)]
    expect(await listed(opened)).toEqual(digests.filter((each) => each !== ended))
    expect([await listed(longer), await listed(shorter)]).toEqual(others)
  })

  stateTest.for([
    ['an asterisk', 'a*:', 'abc:'],
    ['a question mark', 'a?:', 'ab:'],
    ['a set of letters', 'a[bc]:', 'ab:'],
    ['a backslash', 'a\\b:', 'ab:'],
    ['all of them', '*?[a-z]\\*:', 'xxa*:'],
    ['nothing', '', 'a:'],
  ] as const)('takes a prefix with %s literally', async ([, prefix, alike], { redis, expect }) => {
    await using own = await open(redis, { prefix })
    await using other = await open(redis, { prefix: alike })
    const digests = await createMany(own, 3)
    await createMany(other, 3)
    expect(await listed(own)).toEqual(digests)
  })

  stateTest('comes in portions, among many other keys', async ({ redis, opened }) => {
    const digests = await createMany(opened, 4000)
    await redis.cli('DEBUG', 'POPULATE', '20000', 'other')
    const portions = await Array.fromAsync(opened.state.store.list())
    expect([...new Set(portions.flat())].toSorted()).toEqual(digests)
    expect(Math.max(...portions.map((portion) => portion.length))).toBeLessThan(2000)
  })

  stateTest('is empty without sessions', async ({ opened }) => {
    expect(await listed(opened)).toEqual([])
  })

  test('has the sessions of every shard, or is an outage', async () => {
    await using redis = await startCluster({ shards: 3 })
    await using observed = await open(redis.target, { timeoutMs: 3000 })
    const digests = await createMany(observed, 300)
    expect(await listed(observed)).toEqual(digests)
    const [server] = redis.primaries as [RunningRedis]
    const kept = (await server.cli('KEYS', '*:s')).split('\n').length
    expect(kept).toBeGreaterThan(50)
    await server.kill()
    // Lists before and after the loss of the server is noticed.
    for (let count = 0; count < 20; count += 1) {
      await expect(listed(observed)).rejects.toThrow(OutageError)
    }
    expect(observed.breakerChanges).toEqual([])
    await server.restart({ keepData: true })
    const isListed = () => listed(observed).then(Boolean, () => false)
    await until('a whole cluster', isListed, 15_000)
    expect(await listed(observed)).toHaveLength(digests.length - kept)
  })

  test('is an outage when it breaks off in the middle', async () => {
    await using redis = await startRedis()
    await using observed = await open(redis)
    await createMany(observed, 4000)
    const portions = observed.state.store.list()[Symbol.asyncIterator]()
    expect((await portions.next()).value).not.toHaveLength(0)
    await redis.kill()
    await expect(portions.next()).rejects.toThrow(OutageError)
    await expect(listed(observed)).rejects.toThrow(OutageError)
  })
})

describe('values of another type in Redis', () => {
  const REFUSED = expect.objectContaining({ code: 'store_unavailable' }) as Error

  stateTest.for([
    ['the counter', '{generation}'],
    ["everybody's oldest generation", '{generation}:oldest'],
    ["the user's oldest generation", 'g:{user}'],
  ] as const)('a list in place of %s is an error, never 0', async ([, key], { redis, opened }) => {
    await redis.cli('RPUSH', `vestibule:${key}`, 'x')
    const { generations } = opened.state
    const asked = key === '{generation}' ? generations.current() : generations.oldestOf('user')
    await expect(asked).rejects.toThrow(REFUSED)
    const whose = key.startsWith('g') ? 'user' : undefined
    await expect(generations.advance(whose, LONG_MS)).rejects.toThrow(REFUSED)
  })

  stateTest.for(['soon', '', ' ', '-1', '1e3', '0x10', 'NaN', '9'.repeat(20)])(
    'a text that is no generation is an error, never 0: %s',
    async (text, { redis, opened, expect }) => {
      const { generations } = opened.state
      await redis.cli('SET', 'vestibule:g:{user}', text)
      await expect(generations.oldestOf('user')).rejects.toThrow(REFUSED)
      expect(await generations.oldestOf('other')).toBe(0)
      await redis.cli('SET', 'vestibule:{generation}', text)
      await expect(generations.current()).rejects.toThrow(REFUSED)
      await redis.cli('SET', 'vestibule:{generation}:oldest', text)
      await expect(generations.oldestOf('other')).rejects.toThrow(REFUSED)
    },
  )

  stateTest('a list in place of a lock is held by nobody', async ({ redis, opened }) => {
    const { locks, store } = opened.state
    await store.create('digest', newRecords(), LONG_MS)
    await redis.cli('RPUSH', 'vestibule:{digest}:l', 'owner')
    const found = await locks.acquire('digest', 'owner', 'note', LONG_MS)
    expect(found).toEqual({ isOurs: false, mark: '' })
    await expect(locks.hold('digest', 'owner', 'note', LONG_MS)).rejects.toThrow(REFUSED)
    await expect(locks.takeOver('digest', 'owner', 'note', LONG_MS, '')).rejects.toThrow(REFUSED)
    await expect(locks.release('digest', 'owner')).rejects.toThrow(REFUSED)
    await store.end('digest', LONG_MS)
    expect(await redis.cli('EXISTS', 'vestibule:{digest}:l'), 'ends with its session').toBe('0')
  })

  stateTest('a list in place of tokens is not replaced', async ({ redis, opened }) => {
    const { store } = opened.state
    const records = newRecords()
    await store.create('digest', records, LONG_MS)
    await redis.cli('DEL', 'vestibule:{digest}:t')
    await redis.cli('RPUSH', 'vestibule:{digest}:t', 'x')
    await expect(store.replace('digest', newRecords(), records.tokens)).rejects.toThrow(REFUSED)
    expect(await store.read('digest', ['identity'])).toEqual({ identity: records.identity })
  })

  stateTest.for(['identity', 'tokens'] as const)(
    'a session without its %s is gone',
    async (part, { redis, opened, expect }) => {
      const { store } = opened.state
      const records = newRecords()
      await store.create('digest', records, LONG_MS)
      const key = recordKey('vestibule:', 'digest', part)
      await redis.cli('DEL', key)
      expect(await store.replace('digest', newRecords(), records.tokens)).toBe('gone')
      expect(await redis.cli('EXISTS', key)).toBe('0')
    },
  )
})

describe('generations in Redis', () => {
  stateTest('a late end does not undo one that came after it', async ({ redis: { cli } }) => {
    const raise = (generation: string, ttlMs: number) =>
      cli('EVAL', RAISE, '1', 'oldest', generation, `${ttlMs}`)
    await raise('20', LONG_MS)
    await raise('19', 1000)
    expect(await cli('GET', 'oldest')).toBe('20')
    expect(Number(await cli('PTTL', 'oldest'))).toBeGreaterThan(LONG_MS / 2)
    await raise('100', LONG_MS)
    expect(await cli('GET', 'oldest')).toBe('100')
  })

  stateTest('a lost counter rejects only sign-ins that began before', async ({ redis, opened }) => {
    const { generations } = opened.state
    for (const whose of ['user', undefined]) {
      await generations.advance(whose, LONG_MS)
      const advanced = await generations.oldestOf('user')
      await redis.cli('DEL', 'vestibule:{generation}')
      await until('a clock ahead of it', async () => (await generations.current()) >= advanced)
      // Also holds within the same millisecond.
      for (let count = 0; count < 50; count += 1) {
        await redis.cli('DEL', 'vestibule:{generation}')
        const before = await generations.current()
        await generations.advance(whose, LONG_MS)
        expect(await generations.oldestOf('user')).toBeGreaterThan(before)
      }
    }
  })

  stateTest('a counter ahead of the clock goes on from its value', async ({ redis, opened }) => {
    const ahead = Date.now() + 3_600_000
    await redis.cli('SET', 'vestibule:{generation}', String(ahead))
    await opened.state.generations.advance(undefined, LONG_MS)
    expect(await opened.state.generations.current()).toBe(ahead + 1)
  })
})
