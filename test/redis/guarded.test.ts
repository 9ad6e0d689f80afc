import { describe, expect, test } from 'vitest'
import { AuthError, OutageError } from '../../src/errors.ts'
import { keySlot, SLOT_COUNT } from '../../src/redis/cluster/key-slot.ts'
import { recordKey } from '../../src/store/store.ts'
import type { RunningRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import {
  type ObservedState,
  openExamined,
  openState,
  RECORDS,
  until,
} from '../support/redis-state.ts'
import { redisTest } from '../support/redis-test.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const freshRedis = reuseRedis()
const freshTest = redisTest.extend('redis', () => freshRedis())

const outcome = (asked: Promise<unknown>) =>
  asked.then(() => 'done').catch((cause: Error) => cause.message)
const read = ({ state }: ObservedState) => outcome(state.store.read('nobody', ['identity']))
const write = ({ state }: ObservedState) => outcome(state.store.create('d', RECORDS, 60_000))
const untilConnected = ({ redis }: ObservedState) => until('a connection', () => redis.isConnected)

async function killAndLose(redis: RunningRedis, observed: ObservedState) {
  await untilConnected(observed)
  await redis.kill()
  await until('the loss', () => !observed.redis.isConnected)
}

describe('a Redis that is down', () => {
  redisTest('opens the breaker, which closes as soon as Redis is back', async ({ redis }) => {
    await using observed = openState(redis)
    await killAndLose(redis, observed)
    const outcomes: string[] = []
    while (outcomes.at(-1) !== 'Redis: breaker') outcomes.push(await read(observed))
    expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['Redis: connection']))
    expect(outcomes.length).toBeLessThanOrEqual(6)
    expect(observed.breakerChanges).toEqual(['read open'])
    for (let count = 0; count < 1000; count += 1)
      expect(await read(observed)).toBe('Redis: breaker')
    expect(observed.redis.breakers.read).toMatchObject({ state: 'open', failures: 5 })
    expect(observed.state.isAvailable).toBe(false)
    const refused = observed.state.store.read('nobody', ['identity'])
    await expect(refused).rejects.toBeInstanceOf(OutageError)
    const explanation = expect.stringMatching(/^the circuit breaker is open: .*Redis/) as string
    await expect(refused).rejects.toMatchObject({ facts: { explanation } })

    await redis.restart()
    await untilConnected(observed)
    await until('reads', async () => (await read(observed)) === 'done')
    // Allows for a trial that meets a server which is still starting.
    expect(observed.breakerChanges.slice(0, 2)).toEqual(['read open', 'read half-open'])
    expect(observed.breakerChanges.at(-1)).toBe('read closed')
    expect(observed.state.isAvailable).toBe(true)
  })

  redisTest('closes both breakers without a request', async ({ redis }) => {
    await using observed = openState(redis, { breaker: { threshold: 1 } })
    await killAndLose(redis, observed)
    // Allows for commands in flight at the loss, whose failures may have opened the breaker already.
    for (const asked of [read(observed), write(observed)])
      expect(['Redis: connection', 'Redis: breaker']).toContain(await asked)
    expect(observed.redis.breakers).toMatchObject({
      read: { state: 'open' },
      write: { state: 'open' },
    })
    await redis.restart()
    await until('both', () =>
      Object.values(observed.redis.breakers).every(({ state }) => state === 'closed'),
    )
  })
})

describe('a Redis whose memory is full', () => {
  freshTest('is still read, and written again as soon as it has room', async ({ redis }) => {
    await using observed = await openExamined(redis)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    for (let count = 0; count < 5; count += 1) expect(await write(observed)).toBe('Redis: full')
    // Compares at once, because the health loop adds one failed trial each second.
    expect(observed.redis.breakers).toMatchObject({
      read: { state: 'closed', failures: 0 },
      write: { state: 'open', failures: 5 },
    })
    expect(await write(observed)).toBe('Redis: breaker')
    for (let count = 0; count < 20; count += 1) expect(await read(observed)).toBe('done')
    const tries = () => observed.breakerChanges.filter((each) => each === 'write half-open').length
    await until('two tries', () => tries() >= 2)
    expect(observed.breakerChanges.filter((each) => each.startsWith('read'))).toEqual([])
    expect(observed.breakerChanges).not.toContain('write closed')
    expect(['open', 'half-open']).toContain(observed.redis.breakers.write.state)

    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await until('writes', () => observed.redis.breakers.write.state === 'closed')
    expect(await write(observed)).toBe('done')
  })

  test('refuses one-time keys by the same breaker as sessions, never as first uses', async () => {
    const redis = await freshRedis()
    await using observed = await openExamined(redis, { breaker: { threshold: 1 } })
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    const { oneTimeKeys } = observed.state
    expect(await write(observed)).toBe('Redis: full')
    expect(
      await outcome(oneTimeKeys.consume({ kind: 'login', key: 'key', attemptId: 'me' }, 1000)),
    ).toBe('Redis: breaker')
  })
})

redisTest('errors about one command alone never open a breaker', async ({ redis }) => {
  await using observed = openState(redis, { breaker: { threshold: 1 } })
  await untilConnected(observed)
  const { sessionsByOwner, store } = observed.state
  await redis.cli('SET', 'vestibule:u:{owner}', 'no index', 'PX', '60000')
  for (let count = 0; count < 20; count += 1)
    expect(await outcome(sessionsByOwner.remove('d', { user: 'owner' }))).toBe('Redis: data')
  await redis.cli('ACL', 'SETUSER', 'default', '-get')
  const refused = await store.read('nobody', ['identity']).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(AuthError)
  expect(refused).not.toBeInstanceOf(OutageError)
  for (let count = 0; count < 20; count += 1) expect(await read(observed)).toBe('Redis: permission')
  expect([observed.breakerChanges, observed.state.isAvailable]).toEqual([[], true])
})

test('a lost primary of a cluster leaves the keys of the others readable', async () => {
  await using cluster = await startCluster({ shards: 3 })
  await using opened = openState(cluster.target)
  await until('a connection', () => opened.connected() > 0)
  const { store } = opened.state
  const shardOf = (digest: string) =>
    Math.floor((keySlot(recordKey('vestibule:', digest, 'identity')) * 3) / SLOT_COUNT)
  const digests = Array.from({ length: 60 }, (_, at) => `session-${at}`)
  const { lost = [], kept = [] } = Object.groupBy(digests, (digest) =>
    shardOf(digest) === 1 ? 'lost' : 'kept',
  )
  await (cluster.primaries[1] as RunningRedis).kill()
  await until('the loss', () => opened.disconnected.length > 0)
  // Fails more often in a row than the threshold of the breaker.
  expect(lost.length).toBeGreaterThan(5)
  for (const digest of lost)
    await expect(store.read(digest, ['identity'])).rejects.toThrow(OutageError)
  for (const digest of kept) expect(await store.read(digest, ['identity'])).toEqual({})
  expect(opened.breakerChanges).toEqual([])
})
