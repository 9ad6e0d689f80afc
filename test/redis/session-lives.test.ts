import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { OutageError } from '../../src/errors.ts'
import { recordKey } from '../../src/store/store.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { openState, RECORDS, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const LONG_MS = 3_600_000
const freshRedis = reuseRedis()
const stateTest = test
  .extend('redis', () => freshRedis())
  .extend('opened', async ({ redis }, { onCleanup }) => {
    const observed = openState(redis)
    onCleanup(() => observed.state.close())
    await until('a connection', () => observed.connected() > 0)
    return observed
  })
const keyOf = (part: 'identity' | 'tombstone') => recordKey('vestibule:', 'digest', part)

stateTest.for([
  ['of an older version', ['SET', '1'], 'signed-out-elsewhere'],
  ['of a later version', ['SET', 'struck-by-lightning'], 'signed-out-elsewhere'],
  ['of a megabyte', ['SET', 'provider'.padEnd(1024 * 1024, 'x')], 'signed-out-elsewhere'],
  ['of another type', ['RPUSH', 'provider'], undefined],
] as const)('a tombstone %s hides no other session', async (row, { redis, opened }) => {
  const [, [command, value], reason] = row
  const { store } = opened.state
  await redis.cli(command, keyOf('tombstone'), value)
  await store.create('digest', RECORDS, LONG_MS)
  await store.end('other', LONG_MS, 'provider')
  const lives = [
    { kind: 'ended', reason },
    { kind: 'ended', reason: 'provider' },
  ]
  expect(await store.readLives(['digest', 'other'])).toEqual(lives)
  await store.end('digest', LONG_MS, 'operator')
  expect(await store.readLives(['digest', 'other'])).toEqual(lives)
  expect(Number(await redis.cli('PTTL', keyOf('tombstone'))), 'has a TTL').toBeGreaterThan(0)
})

stateTest('a record that never expires lives as long as its session', async ({ redis, opened }) => {
  const { store } = opened.state
  await store.create('digest', RECORDS, LONG_MS)
  await redis.cli('PERSIST', keyOf('identity'))
  expect(await store.readLives(['digest'])).toEqual([{ kind: 'alive', leftMs: Infinity }])
})

test('a server that is away, or refuses to answer, is an outage and no end', async () => {
  await using redis = await startRedis()
  await using observed = openState(redis, { breaker: { threshold: 1 } })
  await until('a connection', () => observed.connected() > 0)
  const { state } = observed
  await state.store.create('digest', RECORDS, LONG_MS)
  await redis.cli('ACL', 'SETUSER', 'default', '-pttl')
  await expect(state.store.readLives(['digest'])).rejects.toThrow('permission')
  await redis.cli('ACL', 'SETUSER', 'default', '+@all')
  await redis.kill()
  await expect(state.store.readLives(['digest'])).rejects.toThrow(OutageError)
  const breaker = () => observed.redis.breakers.read.state
  expect([breaker(), await state.store.readLives([]), breaker()]).toEqual(['open', [], 'open'])
})

test('a cluster answers for all shards, or not at all while one is away', async () => {
  await using redis = await startCluster({ shards: 3 })
  await using observed = openState(redis.target)
  await until('a connection', () => observed.connected() > 0)
  const { store } = observed.state
  const digests = Array.from({ length: 300 }, () => randomBytes(32).toString('base64url'))
  await Promise.all(digests.map((digest) => store.create(digest, RECORDS, LONG_MS)))
  const [first = ''] = digests
  await store.end(first, LONG_MS, 'replaced')
  const [ended, ...others] = await store.readLives(digests)
  expect(ended).toEqual({ kind: 'ended', reason: 'replaced' })
  expect(new Set(others.map(({ kind }) => kind))).toEqual(new Set(['alive']))
  await (redis.primaries[0] as RunningRedis).kill()
  for (let count = 0; count < 5; count += 1)
    await expect(store.readLives(digests)).rejects.toThrow(OutageError)
  expect(observed.breakerChanges).toEqual([])
})
