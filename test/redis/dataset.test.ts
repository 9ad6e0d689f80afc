import { expect, test } from 'vitest'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type ObservedState, openState, until, untilDataKnown } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const KEY = 'vestibule:{dataset}'
const OFTEN = { healthIntervalMs: 1000 }
const freshRedis = reuseRedis()
/** Whoever has lost its connection asks for the name over the next one, before it is each second's turn. */
const untilAskedAgain = async (redis: RunningRedis, ...states: readonly ObservedState[]) => {
  const before = states.map((each) => each.connected())
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until('connections', () => states.every((each, at) => each.connected() > (before[at] ?? 0)))
  for (const each of states) await untilDataKnown(each.redis)
}
const untilNamed = (redis: RunningRedis) =>
  until('a name of the data', async () => (await redis.cli('EXISTS', KEY)) === '1')
const untilKnown = async (redis: RunningRedis, ...states: readonly ObservedState[]) => {
  for (const each of states) await untilDataKnown(each.redis)
  await untilNamed(redis)
}

test('data that are lost under way are noticed once, by every replica', async () => {
  const redis = await freshRedis()
  await using a = openState(redis, OFTEN)
  await using b = openState(redis, OFTEN)
  await untilKnown(redis, a, b)
  await redis.cli('FLUSHALL')
  await until('both to notice', () => a.datasetChanges() === 1 && b.datasetChanges() === 1)
  expect([...a.disconnected, ...b.disconnected]).toEqual([])
  await untilAskedAgain(redis, a, b)
  expect([a.datasetChanges(), b.datasetChanges()]).toEqual([1, 1])
  expect(await redis.cli('EXISTS', KEY)).toBe('1')
})

test('a replica that is alone notices it too, though it is the one who names the data', async () => {
  const redis = await freshRedis()
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  for (let count = 1; count <= 2; count += 1) {
    await redis.cli('FLUSHALL')
    await until('the loss', () => a.datasetChanges() === count)
    await untilNamed(redis)
  }
})

test('a start with the data of before is no change', async () => {
  await using redis = await startRedis()
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  const name = await redis.cli('GET', KEY)
  for (let count = 2; count <= 3; count += 1) {
    await redis.restart({ keepData: true })
    await until('the next connection', () => a.connected() === count)
    await untilDataKnown(a.redis)
  }
  expect(await redis.cli('GET', KEY)).toBe(name)
  expect(a.datasetChanges()).toBe(0)
})

test('a start with nothing is noticed as soon as there is a connection', async () => {
  await using redis = await startRedis()
  await using a = openState(redis)
  await untilKnown(redis, a)
  await redis.restart()
  await until('the next connection', () => a.connected() === 2)
  // Long before it would be asked without an occasion.
  await until('the loss', () => a.datasetChanges() === 1)
})

test('a server with other data in its place is noticed', async () => {
  const redis = await freshRedis()
  await using a = openState(redis)
  await untilKnown(redis, a)
  await redis.cli('SET', KEY, 'of another server', 'PX', '60000')
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
  await until('the loss', () => a.datasetChanges() === 1)
  expect(await redis.cli('GET', KEY)).toBe('of another server')
})

test('who comes later takes the data as they are', async () => {
  const redis = await freshRedis()
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  const name = await redis.cli('GET', KEY)
  await using b = openState(redis, OFTEN)
  await untilDataKnown(b.redis)
  await untilAskedAgain(redis, a, b)
  expect(await redis.cli('GET', KEY)).toBe(name)
  expect([a.datasetChanges(), b.datasetChanges()]).toEqual([0, 0])
})

test('each installation has data of its own', async () => {
  const redis = await freshRedis()
  await using a = openState(redis, OFTEN)
  await using other = openState(redis, { ...OFTEN, prefix: 'other:' })
  await untilKnown(redis, a, other)
  await redis.cli('DEL', KEY)
  await until('the loss', () => a.datasetChanges() === 1)
  await untilAskedAgain(redis, other)
  expect(other.datasetChanges()).toBe(0)
})

test('the name lives as long as somebody asks for it, and so does no other key for ever', async () => {
  const redis = await freshRedis()
  await using a = openState(redis, OFTEN)
  await untilKnown(redis, a)
  await redis.cli('PEXPIRE', KEY, '60000')
  await until('a longer life', async () => Number(await redis.cli('PTTL', KEY)) > 60_000)
  const { store, sessionIndex, oneTimeKeys } = a.state
  const record = Buffer.from('sealed')
  await sessionIndex.add('d1', { user: 'u', providerSession: 'p' }, 60_000)
  await store.create('d1', { identity: record, tokens: record, metadata: record }, 60_000)
  await store.create('d2', { identity: record, tokens: record, metadata: record }, 60_000)
  await store.end('d2', 60_000)
  await oneTimeKeys.consume('login', 'k', 'me', 60_000)
  const keys = (await redis.cli('KEYS', '*')).split('\n').toSorted()
  expect(keys).toEqual(
    [
      KEY,
      'vestibule:{d1}:s',
      'vestibule:{d1}:t',
      'vestibule:{d1}:m',
      'vestibule:{d2}:x',
      'vestibule:u:{u}',
      'vestibule:p:{p}',
      'vestibule:j:login:{k}',
    ].toSorted(),
  )
  for (const key of keys) expect(Number(await redis.cli('PTTL', key)), key).toBeGreaterThan(0)
})
