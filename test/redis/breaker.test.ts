import { describe, expect, test } from 'vitest'
import { AuthError, OutageError } from '../../src/errors.ts'
import { keySlot, SLOT_COUNT } from '../../src/redis/cluster/key-slot.ts'
import { recordKey } from '../../src/store/store.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type ObservedState, openState, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const record = Buffer.alloc(1000)
const records = { identity: record, tokens: record, metadata: record }

/** What came of it, in a word. */
const outcome = async (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'done',
    (cause: unknown) => (cause as Error).message,
  )
const read = ({ state }: ObservedState) => outcome(state.store.read('nobody', ['identity']))
const write = ({ state }: ObservedState, digest = 'd') =>
  outcome(state.store.create(digest, records, 60_000))
const freshRedis = reuseRedis()
const untilConnected = (observed: ObservedState) =>
  until('a connection', () => observed.redis.isConnected)

describe('a Redis that is away', () => {
  test('is not asked again and again, and is asked again as soon as it is back', async () => {
    await using redis = await startRedis()
    await using observed = openState(redis)
    await untilConnected(observed)
    await redis.kill()
    await until('the loss', () => !observed.redis.isConnected)
    const outcomes: string[] = []
    while (outcomes.at(-1) !== 'Redis: breaker') outcomes.push(await read(observed))
    expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['Redis: connection']))
    expect(outcomes.length).toBeLessThanOrEqual(6)
    expect(observed.breakerChanges).toEqual(['read open'])
    for (let count = 0; count < 1000; count += 1) {
      expect(await read(observed)).toBe('Redis: breaker')
    }
    expect(observed.redis.breakers.read).toMatchObject({ state: 'open', failures: 5 })
    expect(observed.state.isAvailable).toBe(false)
    const refused = observed.state.store.read('nobody', ['identity'])
    await expect(refused).rejects.toBeInstanceOf(OutageError)

    await redis.restart()
    await untilConnected(observed)
    await until('reads', async () => (await read(observed)) === 'done')
    // A try may meet a server that is only just starting.
    expect(observed.breakerChanges.slice(0, 2)).toEqual(['read open', 'read half-open'])
    expect(observed.breakerChanges.at(-1)).toBe('read closed')
    expect(observed.state.isAvailable).toBe(true)
  })

  test('closes both without anybody who asks', async () => {
    await using redis = await startRedis()
    await using observed = openState(redis, { breaker: { threshold: 1 } })
    await untilConnected(observed)
    await redis.kill()
    await until('the loss', () => !observed.redis.isConnected)
    // Commands in flight at the loss have failed too, which may have opened the breaker already.
    for (const asked of [read(observed), write(observed)]) {
      expect(['Redis: connection', 'Redis: breaker']).toContain(await asked)
    }
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

describe('a Redis that takes no writes', () => {
  test('is read as ever, and written again as soon as it has room', async () => {
    const redis = await freshRedis()
    await using observed = openState(redis)
    await untilConnected(observed)
    await until('its examination', () => observed.examinations.length === 1)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    for (let count = 0; count < 5; count += 1) {
      expect(await write(observed)).toBe('Redis: full')
    }
    // At once: each second it is tried whether it can be written again, which is one more failure.
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

  test('marks are refused by the same breaker as sessions, and never taken for first uses', async () => {
    const redis = await freshRedis()
    await using observed = openState(redis, { breaker: { threshold: 1 } })
    await untilConnected(observed)
    await until('its examination', () => observed.examinations.length === 1)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    const { oneTimeKeys } = observed.state
    expect(await write(observed)).toBe('Redis: full')
    expect(await outcome(oneTimeKeys.consume('login', 'key', 'me', 1000))).toBe('Redis: breaker')
  })
})

describe('answers that concern one command alone', () => {
  test('never open it, however many', async () => {
    await using redis = await startRedis()
    await using observed = openState(redis, { breaker: { threshold: 1 } })
    await untilConnected(observed)
    await redis.cli('SET', 'vestibule:u:{owner}', 'no index', 'PX', '60000')
    const { sessionIndex } = observed.state
    for (let count = 0; count < 20; count += 1) {
      const removing = sessionIndex.remove('d', { user: 'owner' })
      expect(await outcome(removing)).toBe('Redis: data')
    }
    await redis.cli('ACL', 'SETUSER', 'default', '-get')
    const refused = await observed.state.store
      .read('nobody', ['identity'])
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(AuthError)
    expect(refused).not.toBeInstanceOf(OutageError)
    for (let count = 0; count < 20; count += 1) {
      expect(await read(observed)).toBe('Redis: permission')
    }
    expect(observed.breakerChanges).toEqual([])
    expect(observed.state.isAvailable).toBe(true)
  })
})

test('one primary of a cluster that is away does not keep anybody from the others', async () => {
  await using cluster = await startCluster({ shards: 3 })
  await using opened = openState(cluster.target)
  await until('a connection', () => opened.connected() > 0)
  const { store } = opened.state
  const shardOf = (digest: string) =>
    Math.floor((keySlot(recordKey('vestibule:', digest, 'identity')) * 3) / SLOT_COUNT)
  const digests = Array.from({ length: 60 }, (_, at) => `session-${at}`)
  await (cluster.primaries[1] as RunningRedis).kill()
  await until('the loss', () => opened.disconnected.length > 0)
  for (const digest of digests) {
    const answer = store.read(digest, ['identity'])
    if (shardOf(digest) === 1) await expect(answer).rejects.toThrow(OutageError)
    else expect(await answer).toEqual({})
  }
  expect(digests.filter((digest) => shardOf(digest) === 1).length).toBeGreaterThan(5)
  expect(opened.breakerChanges).toEqual([])
})
