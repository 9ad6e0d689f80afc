import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { OutageError } from '../../src/errors.ts'
import { RAISE } from '../../src/store/redis/scripts.ts'
import { recordKey } from '../../src/store/store.ts'
import { infoOf, type RunningRedis, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type ObservedState, openState, until, untilDataKnown } from '../support/redis-state.ts'
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
const listed = async ({ state }: ObservedState) =>
  [...new Set((await Array.fromAsync(state.store.list())).flat())].toSorted()
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

test.for([
  ['a single server', single],
  ['Cluster', () => startCluster({ shards: 3 })],
] as const)('only replaced sessions are evicted elsewhere over %s', async ([, reach]) => {
  await using redis = await reach()
  await using one = await open(redis.target)
  await using other = await open(redis.target)
  await until('backplanes', () => one.redis.isBackplaneHealthy && other.redis.isBackplaneHealthy)
  const { store } = one.state
  const [digest, changed, gone, last] = [newDigest(), newDigest(), newDigest(), newDigest()]
  for (const each of [digest, changed, last]) await store.create(each, newRecords(), LONG_MS)
  const replace = async (each: string) => {
    const { tokens } = await store.read(each, ['tokens'])
    return store.replace(each, newTokens(), tokens as Buffer)
  }
  const before = randomBytes(9)
  const outcomes = [
    await replace(digest),
    await store.replace(changed, newRecords(), before),
    await store.replace(gone, newRecords(), before),
    await replace(last),
  ]
  expect(outcomes).toEqual(['replaced', 'changed', 'gone', 'replaced'])
  const evicted = ({ messages }: ObservedState) =>
    messages.flatMap((message) => (message.type === 'evict' ? [message.session] : [])).toSorted()
  // In a cluster the messages come over different servers.
  await until('the evictions', () => evicted(other).length >= 2)
  expect([one, other].map(evicted)).toEqual([[], [digest, last].toSorted()])
})

describe('the list of sessions in Redis', () => {
  stateTest('has the sessions of its own prefix and no other key', async ({ redis, opened }) => {
    await using longer = await open(redis, { prefix: 'vestibule:2:' })
    await using shorter = await open(redis, { prefix: 'vest' })
    const { store, sessionsByOwner, oneTimeKeys, locks, generations } = opened.state
    const digests = await createMany(opened, 5)
    const [digest, ended] = digests as [string, string]
    await store.end(ended, LONG_MS, 'operator')
    await sessionsByOwner.add(digest, { user: digest, providerSession: digest }, LONG_MS)
    await oneTimeKeys.consume({ kind: 'login', key: digest, attemptId: 'attempt' }, LONG_MS)
    await locks.acquire(digest, { owner: 'owner', note: 'note', ttlMs: LONG_MS })
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
  ] as const)('takes a prefix with %s literally', async ([, prefix, alike], { redis }) => {
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
    for (let count = 0; count < 20; count += 1)
      await expect(listed(observed)).rejects.toThrow(OutageError)
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
  /** Fails closed, and is no outage. */
  const REFUSED = expect.objectContaining({ name: 'AuthError', code: 'store_unavailable' }) as Error

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

  stateTest.for(['soon', 'x', '', ' ', '-1', '1e3', '0x10', 'NaN', '9'.repeat(20)])(
    'a text that is no generation is an error, never 0: %s',
    async (text, { redis, opened }) => {
      const { state, redis: observed, failures } = opened
      const { generations } = state
      await redis.cli('SET', 'vestibule:g:{user}', text)
      await expect(generations.oldestOf('user')).rejects.toThrow(REFUSED)
      expect(await generations.oldestOf('other')).toBe(0)
      await redis.cli('SET', 'vestibule:{generation}', text)
      await expect(generations.current()).rejects.toThrow(REFUSED)
      await redis.cli('SET', 'vestibule:{generation}:oldest', text)
      await expect(generations.oldestOf('other')).rejects.toThrow(REFUSED)
      expect([failures, observed.breakers.read.failures]).toEqual([[], 0])
    },
  )

  stateTest('a list in place of a lock is held by nobody', async ({ redis, opened }) => {
    const { locks, store } = opened.state
    const lease = { owner: 'owner', note: 'note', ttlMs: LONG_MS }
    await store.create('digest', newRecords(), LONG_MS)
    await redis.cli('RPUSH', 'vestibule:{digest}:l', 'owner')
    expect(await locks.acquire('digest', lease)).toEqual({ isOurs: false, value: '' })
    await expect(locks.hold('digest', lease)).rejects.toThrow(REFUSED)
    await expect(locks.takeOver('digest', lease, '')).rejects.toThrow(REFUSED)
    await expect(locks.release('digest', 'owner')).rejects.toThrow(REFUSED)
    await store.end('digest', LONG_MS, 'operator')
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

  stateTest('a session is created over values of another type', async ({ redis, opened }) => {
    const parts = ['identity', 'tokens', 'metadata'] as const
    for (const part of parts) await redis.cli('RPUSH', recordKey('vestibule:', 'digest', part), 'x')
    const records = newRecords()
    await opened.state.store.create('digest', records, LONG_MS)
    expect(await opened.state.store.read('digest', parts)).toEqual(records)
  })

  const needed = stateTest.for(['identity', 'tokens'] as const)
  needed('a session without its %s is gone', async (part, { redis, opened }) => {
    const { store } = opened.state
    const records = newRecords()
    await store.create('digest', records, LONG_MS)
    const key = recordKey('vestibule:', 'digest', part)
    await redis.cli('DEL', key)
    expect(await store.replace('digest', newRecords(), records.tokens)).toBe('gone')
    expect(await redis.cli('EXISTS', key)).toBe('0')
  })
})

describe('an oversized record', () => {
  const read = ({ state }: ObservedState) => state.store.read('digest', ['identity'], 20_000)
  const make = ({ cli }: RunningRedis, bytes: number) => {
    const script = "redis.call('SET', KEYS[1], string.rep('x', ARGV[1]))"
    return cli('EVAL', script, '1', recordKey('vestibule:', 'digest', 'identity'), `${bytes}`)
  }

  stateTest('has more than two megabytes and is read as empty', async ({ redis, opened }) => {
    const maxBytes = 2 * 1024 * 1024
    await make(redis, maxBytes)
    expect((await read(opened)).identity).toHaveLength(maxBytes)
    await make(redis, maxBytes + 1)
    expect((await read(opened)).identity).toHaveLength(0)
  })

  stateTest('is sent to one of many reads', async ({ redis, opened }) => {
    // Waits for the queries of its start, which have little time and would queue behind large values.
    await until('its examination', () => opened.examinations.length === 1)
    await until('a backplane', () => opened.redis.isBackplaneHealthy)
    await untilDataKnown(opened.redis)
    const bytes = 8_000_000
    await make(redis, bytes)
    const before = await infoOf(redis, 'stats', 'total_net_output_bytes:')
    for (let round = 0; round < 5; round += 1) {
      const reads = await Promise.all(Array.from({ length: 20 }, () => read(opened)))
      for (const { identity } of reads) expect(identity).toHaveLength(0)
    }
    const sent = (await infoOf(redis, 'stats', 'total_net_output_bytes:')) - before
    expect(sent).toBeLessThan(1.5 * bytes)
    expect(opened.failures).toEqual([])
  })
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
