import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OutageError } from '../../src/errors.ts'
import type { RedisTarget } from '../../src/redis/target.ts'
import { RAISE } from '../../src/store/redis/scripts.ts'
import { recordKey } from '../../src/store/store.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type ObservedState, openState, type StateOptions, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const LONG_MS = 3_600_000
const newDigest = (): string => randomBytes(32).toString('base64url')
const newRecords = () => ({
  identity: randomBytes(8),
  tokens: randomBytes(8),
  metadata: randomBytes(8),
})

const freshRedis = reuseRedis()

const open = async (
  target: Parameters<typeof openState>[0],
  options: StateOptions = {},
): Promise<ObservedState> => {
  const observed = openState(target, options)
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

describe.for<[string, () => Promise<AsyncDisposable & { readonly target: RedisTarget }>]>([
  [
    'a single server',
    async () => {
      const redis = await startRedis()
      const { host, port } = redis
      return {
        target: { kind: 'single', host, port, database: 0 },
        [Symbol.asyncDispose]: redis.stop,
      }
    },
  ],
  ['Cluster', () => startCluster({ shards: 3 })],
])('two replicas over %s', ([, reach]) => {
  let redis: Awaited<ReturnType<typeof reach>>
  let [one, other]: ObservedState[] = []
  const both = () => [one as ObservedState, other as ObservedState] as const
  beforeAll(async () => {
    redis = await reach()
    one = await open(redis.target)
    other = await open(redis.target)
    for (const { state } of both()) {
      await until('a healthy backplane', () => state.backplane.epoch !== undefined)
    }
  })
  afterAll(async () => {
    for (const { state } of both()) await state.close()
    await redis[Symbol.asyncDispose]()
  })
  const evictions = ({ messages }: ObservedState) =>
    messages.flatMap((message) => (message.type === 'evict' ? [message.session] : []))

  test('a session that one replaces is evicted at the other, and one that it does not replace is not', async () => {
    const [first, second] = both()
    const [digest, changed, gone, last] = [newDigest(), newDigest(), newDigest(), newDigest()]
    for (const each of [digest, changed, last]) {
      await first.state.store.create(each, newRecords(), LONG_MS)
    }
    const replace = async (each: string) => {
      const { tokens } = await first.state.store.read(each, ['tokens'])
      const after = { identity: randomBytes(8), tokens: randomBytes(8) }
      return first.state.store.replace(each, after, tokens as Buffer)
    }
    expect(await replace(digest)).toBe('replaced')
    const [after, before] = [newRecords(), randomBytes(9)]
    expect(await first.state.store.replace(changed, after, before)).toBe('changed')
    expect(await first.state.store.replace(gone, after, before)).toBe('gone')
    expect(await replace(last)).toBe('replaced')
    // In a cluster they come over different servers.
    await until('the evictions', () => evictions(second).length >= 2)
    expect(evictions(second).toSorted()).toEqual([digest, last].toSorted())
    expect(evictions(first)).toEqual([])
  })

  test('of two that replace the same tokens one wins, and both read what it wrote', async () => {
    const replicas = both()
    for (let round = 0; round < 20; round += 1) {
      const [digest, records] = [newDigest(), newRecords()]
      await replicas[0].state.store.create(digest, records, LONG_MS)
      const written = replicas.map(() => ({ identity: randomBytes(8), tokens: randomBytes(8) }))
      const outcomes = await Promise.all(
        replicas.map(({ state }, at) => state.store.replace(digest, written[at]!, records.tokens)),
      )
      expect(outcomes.toSorted()).toEqual(['changed', 'replaced'])
      for (const { state } of replicas) {
        const found = await state.store.read(digest, ['identity', 'tokens'])
        expect(found).toEqual(written[outcomes.indexOf('replaced')])
      }
    }
  })

  test('one has the lock of a session until the session ends, wherever that happens', async () => {
    const [first, second] = both()
    const digest = newDigest()
    await first.state.store.create(digest, newRecords(), LONG_MS)
    const acquire = async ({ state }: typeof first, owner: string) =>
      (await state.locks.acquire(digest, owner, 'note', LONG_MS)).isOurs
    expect(await acquire(first, 'first')).toBe(true)
    expect(await acquire(second, 'second')).toBe(false)
    await second.state.store.end(digest, LONG_MS)
    expect(await first.state.locks.hold(digest, 'first', 'note', LONG_MS)).toBe(false)
  })

  test('what one ends as a whole has ended for the sign-ins of the other', async () => {
    const [first, second] = both()
    for (const user of [newDigest(), undefined]) {
      const generation = await second.state.generations.current()
      await first.state.generations.advance(user, LONG_MS)
      const oldest = await second.state.generations.oldestOf(user ?? newDigest())
      expect(oldest).toBeGreaterThan(generation)
      expect(await second.state.generations.current()).toBeGreaterThanOrEqual(oldest)
    }
  })

  test('both list the same sessions', async () => {
    const [first, second] = both()
    const digests = new Set(await createMany(first, 500))
    for (const replica of [first, second]) {
      expect(digests.difference(new Set(await listed(replica)))).toEqual(new Set())
    }
  })
})

describe('the list of sessions in Redis', () => {
  test('has the sessions of its own prefix, and nothing else that is there', async () => {
    const redis = await freshRedis()
    await using own = await open(redis)
    await using longer = await open(redis, { prefix: 'vestibule:2:' })
    await using shorter = await open(redis, { prefix: 'vest' })
    const { store, sessionIndex, oneTimeKeys, locks, generations } = own.state
    const digests = await createMany(own, 5)
    const [digest, ended] = digests as [string, string]
    await store.end(ended, LONG_MS)
    await sessionIndex.add(digest, { user: digest, providerSession: digest }, LONG_MS)
    await oneTimeKeys.consume('login', digest, 'attempt', LONG_MS)
    await locks.acquire(digest, 'owner', 'note', LONG_MS)
    await generations.advance(digest, LONG_MS)
    await generations.advance(undefined, LONG_MS)
    for (const key of [
      'vestibule:s',
      '{foreign}:s',
      'xvestibule:{foreign}:s',
      'vestibule:{a}:s2',
    ]) {
      await redis.cli('SET', key, 'x')
    }
    const others = [await createMany(longer, 2), await createMany(shorter, 2)]
    expect(await listed(own)).toEqual(digests.filter((each) => each !== ended))
    expect([await listed(longer), await listed(shorter)]).toEqual(others)
  })

  test.for([
    ['an asterisk', 'a*:', 'abc:'],
    ['a question mark', 'a?:', 'ab:'],
    ['a set of letters', 'a[bc]:', 'ab:'],
    ['a backslash', 'a\\b:', 'ab:'],
    ['all of them', '*?[a-z]\\*:', 'xxa*:'],
    ['nothing', '', 'a:'],
  ] as const)('takes a prefix with %s at its word', async ([, prefix, alike], { expect }) => {
    const redis = await freshRedis()
    await using own = await open(redis, { prefix })
    await using other = await open(redis, { prefix: alike })
    const digests = await createMany(own, 3)
    await createMany(other, 3)
    expect(await listed(own)).toEqual(digests)
  })

  test('comes in portions, among however much else', async () => {
    const redis = await freshRedis()
    await using observed = await open(redis)
    const digests = await createMany(observed, 4000)
    await redis.cli('DEBUG', 'POPULATE', '20000', 'other')
    const portions = await Array.fromAsync(observed.state.store.list())
    expect([...new Set(portions.flat())].toSorted()).toEqual(digests)
    expect(Math.max(...portions.map((portion) => portion.length))).toBeLessThan(2000)
  })

  test('is empty where there are none, which is no error', async () => {
    const redis = await freshRedis()
    await using observed = await open(redis)
    expect(await listed(observed)).toEqual([])
  })

  test('has those of every shard, or is an outage: none is left out', async () => {
    await using redis = await startCluster({ shards: 3 })
    await using observed = await open(redis.target, { timeoutMs: 3000 })
    const digests = await createMany(observed, 300)
    expect(await listed(observed)).toEqual(digests)
    const [server] = redis.primaries as [RunningRedis]
    const kept = (await server.cli('KEYS', '*:s')).split('\n').length
    expect(kept).toBeGreaterThan(50)
    await server.kill()
    // Before and after it is known that the server is away.
    for (let count = 0; count < 20; count += 1) {
      await expect(listed(observed)).rejects.toThrow(OutageError)
    }
    expect(observed.breakerChanges).toEqual([])
    await server.restart({ keepData: true })
    await until(
      'a cluster that is whole',
      () =>
        listed(observed).then(
          () => true,
          () => false,
        ),
      15_000,
    )
    expect(await listed(observed)).toHaveLength(digests.length - kept)
  })

  test('that breaks off in the middle is an outage', async () => {
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

describe('values of another kind in Redis', () => {
  const REFUSED = expect.objectContaining({ code: 'store_unavailable' }) as Error
  const start = async () => {
    const redis = await freshRedis()
    const observed = await open(redis)
    return {
      ...observed.state,
      redis,
      [Symbol.asyncDispose]: () => observed.state.close(),
    }
  }

  test.for([
    ['the counter', '{generation}'],
    ['what everybody lost', '{generation}:oldest'],
    ['what the user lost', 'g:{user}'],
  ] as const)('a list in the place of %s is an error and never 0', async ([, key], { expect }) => {
    await using made = await start()
    await made.redis.cli('RPUSH', `vestibule:${key}`, 'x')
    const { generations } = made
    const isCounter = key === '{generation}'
    const asked = isCounter ? generations.current() : generations.oldestOf('user')
    await expect(asked).rejects.toThrow(REFUSED)
    const whose = key.startsWith('g') ? 'user' : undefined
    await expect(generations.advance(whose, LONG_MS)).rejects.toThrow(REFUSED)
  })

  test.for(['soon', '', ' ', '-1', '1e3', '0x10', 'NaN', '9'.repeat(20)])(
    'a text that is no generation is an error and never 0: %s',
    async (text, { expect }) => {
      await using made = await start()
      const { redis, generations } = made
      await redis.cli('SET', 'vestibule:g:{user}', text)
      await expect(generations.oldestOf('user')).rejects.toThrow(REFUSED)
      expect(await generations.oldestOf('other')).toBe(0)
      await redis.cli('SET', 'vestibule:{generation}', text)
      await expect(generations.current()).rejects.toThrow(REFUSED)
      await redis.cli('SET', 'vestibule:{generation}:oldest', text)
      await expect(generations.oldestOf('other')).rejects.toThrow(REFUSED)
    },
  )

  test("what is no lock is nobody's to take, keep or leave, and goes with its session", async () => {
    await using made = await start()
    const { redis, locks, store } = made
    await store.create('digest', newRecords(), LONG_MS)
    await redis.cli('RPUSH', 'vestibule:{digest}:l', 'owner')
    const found = await locks.acquire('digest', 'owner', 'note', LONG_MS)
    expect(found).toEqual({ isOurs: false, mark: '' })
    await expect(locks.hold('digest', 'owner', 'note', LONG_MS)).rejects.toThrow(REFUSED)
    await expect(locks.takeOver('digest', 'owner', 'note', LONG_MS, '')).rejects.toThrow(REFUSED)
    await expect(locks.release('digest', 'owner')).rejects.toThrow(REFUSED)
    await store.end('digest', LONG_MS)
    expect(await redis.cli('EXISTS', 'vestibule:{digest}:l')).toBe('0')
  })

  test('tokens that are no text are not replaced, which is an error', async () => {
    await using made = await start()
    const { redis, store } = made
    const records = newRecords()
    await store.create('digest', records, LONG_MS)
    await redis.cli('DEL', 'vestibule:{digest}:t')
    await redis.cli('RPUSH', 'vestibule:{digest}:t', 'x')
    await expect(store.replace('digest', newRecords(), records.tokens)).rejects.toThrow(REFUSED)
    expect(await store.read('digest', ['identity'])).toEqual({ identity: records.identity })
  })

  test.for(['identity', 'tokens'] as const)(
    'a session without its %s is gone',
    async (part, { expect }) => {
      await using made = await start()
      const records = newRecords()
      await made.store.create('digest', records, LONG_MS)
      const key = recordKey('vestibule:', 'digest', part)
      await made.redis.cli('DEL', key)
      expect(await made.store.replace('digest', newRecords(), records.tokens)).toBe('gone')
      expect(await made.redis.cli('EXISTS', key)).toBe('0')
    },
  )
})

describe('generations in Redis', () => {
  test('an end that is told late does not undo one that came after it', async () => {
    const redis = await freshRedis()
    const raise = (generation: number, ttlMs: number) =>
      redis.cli('EVAL', RAISE, '1', 'oldest', String(generation), String(ttlMs))
    await raise(20, LONG_MS)
    await raise(19, 1000)
    expect(await redis.cli('GET', 'oldest')).toBe('20')
    expect(Number(await redis.cli('PTTL', 'oldest'))).toBeGreaterThan(LONG_MS / 2)
    await raise(100, LONG_MS)
    expect(await redis.cli('GET', 'oldest')).toBe('100')
  })

  test('a counter that was lost keeps nobody out, and lets nobody in who began before', async () => {
    const redis = await freshRedis()
    await using observed = await open(redis)
    const { generations } = observed.state
    for (const whose of ['user', undefined]) {
      await generations.advance(whose, LONG_MS)
      const advanced = await generations.oldestOf('user')
      await redis.cli('DEL', 'vestibule:{generation}')
      await until('a clock ahead of it', async () => (await generations.current()) >= advanced)
      // Also within the same millisecond.
      for (let count = 0; count < 50; count += 1) {
        await redis.cli('DEL', 'vestibule:{generation}')
        const before = await generations.current()
        await generations.advance(whose, LONG_MS)
        expect(await generations.oldestOf('user')).toBeGreaterThan(before)
      }
    }
  })

  test('a counter that is ahead of the time goes on from where it is', async () => {
    const redis = await freshRedis()
    const ahead = Date.now() + 3_600_000
    await redis.cli('SET', 'vestibule:{generation}', String(ahead))
    await using observed = await open(redis)
    await observed.state.generations.advance(undefined, LONG_MS)
    expect(await observed.state.generations.current()).toBe(ahead + 1)
  })
})
