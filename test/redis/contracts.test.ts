import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LOGGED_MS } from '../../src/store/event-log.ts'
import type { SharedPorts } from '../../src/store/shared-state.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { type UnderTest } from '../store/contracts/contract.ts'
import { describeDenyList } from '../store/contracts/deny-list.ts'
import { describeEventLog } from '../store/contracts/event-log.ts'
import { describeGenerations } from '../store/contracts/generations.ts'
import { describeListing } from '../store/contracts/listing.ts'
import { describeLocks } from '../store/contracts/locks.ts'
import { describeOneTimeKeys } from '../store/contracts/one-time-keys.ts'
import { describeReplacement } from '../store/contracts/replacement.ts'
import { describeSessionsByOwner } from '../store/contracts/sessions-by-owner.ts'
import { describeStore } from '../store/contracts/store.ts'
import { leastUser } from '../support/least-user.ts'
import { startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type ObservedState, openState, RECORDS, until } from '../support/redis-state.ts'
import { type AskRedis, elapseInRedis } from '../support/redis-time.ts'
import { sharedRedis } from '../support/shared-redis.ts'
import { words } from '../support/words.ts'

const PASSWORD = randomBytes(8).toString('hex')

interface Reached extends AsyncDisposable {
  readonly target: Parameters<typeof openState>[0]
  readonly servers: readonly AskRedis[]
  readonly prefix?: string
}

/** Ways to Redis that run all contracts; `test/full/redis/ways.test.ts` has the others. */
const WAYS: Readonly<Record<string, () => Promise<Reached>>> = {
  'plain Redis': async () => {
    const redis = await sharedRedis()
    process.stdout.write(`plain Redis of the contract suites: ${redis.home}\n`)
    return Object.assign(redis, { servers: [redis.cli], prefix: redis.keyPrefix })
  },
  'Redis with TLS and a user that may do only what is documented': async () => {
    const redis = await startRedis({
      tls: { authority: await createAuthority() },
      password: 'of-the-default-user',
      users: [leastUser('app', PASSWORD)],
    })
    const ca = await readFile(redis.clientFiles.ca, 'utf8')
    const user = { port: redis.port, username: 'app', password: PASSWORD }
    const target = { ...user, tls: { ca, skipVerify: false } }
    return { target, servers: [redis.cli], [Symbol.asyncDispose]: redis.stop }
  },
  'a Redis Cluster of three shards with a password': async () => {
    const redis = await startCluster({ shards: 3, password: PASSWORD })
    return Object.assign(redis, { servers: redis.primaries.map(({ cli }) => cli) })
  },
}

describe.for(Object.entries(WAYS))('%s', ([name, reach]) => {
  let reached: Reached
  let observed: ObservedState
  let failedBefore: number
  beforeAll(async () => {
    reached = await reach()
    const { prefix } = reached
    observed = openState(reached.target, prefix === undefined ? {} : { prefix })
    await until('a connection', () => observed.connected() > 0)
    // Counts failures from here on, because subscriber and commands connect separately.
    failedBefore = observed.failures.length
  })
  afterAll(async () => {
    await observed.state.close()
    await reached[Symbol.asyncDispose]()
    expect(observed.failures.slice(failedBefore), 'no command fails').toEqual([])
  })
  const over =
    <K extends keyof SharedPorts>(port: K) =>
    (): UnderTest<SharedPorts[K]> => ({
      port: observed.state[port],
      elapse: (ms) => elapseInRedis(reached.servers, reached.prefix ?? 'vestibule:', ms),
    })

  describeStore(name, over('store'))
  describeReplacement(name, over('store'))
  describeLocks(name, over('locks'))
  describeGenerations(name, over('generations'))
  describeOneTimeKeys(name, over('oneTimeKeys'))
  describeSessionsByOwner(name, over('sessionsByOwner'))
  describeDenyList(name, over('denyList'))
  describeListing(name, over('store'))
  describeEventLog(name, over('eventLog'))
})

test('every key that is written has a TTL', async () => {
  await using redis = await startRedis()
  await using observed = openState(redis)
  await until('an examination', () => observed.examinations.length > 0)
  const { store, oneTimeKeys, sessionsByOwner, locks, generations, denyList, eventLog } =
    observed.state
  await store.create('a', RECORDS, 60_000)
  await store.create('b', RECORDS, 60_000)
  await store.extend('a', 50_000)
  await store.replace('a', { identity: Buffer.of(4), tokens: Buffer.of(5) }, RECORDS.tokens)
  await store.end('b', 60_000, 'operator')
  await locks.acquire('a', { owner: 'owner', note: 'note', ttlMs: 60_000 })
  await locks.hold('a', { owner: 'owner', note: 'another', ttlMs: 50_000 })
  await generations.advance('u1', 60_000)
  await generations.advance(undefined, 60_000)
  await oneTimeKeys.consume({ kind: 'login', key: 'c', attemptId: 'attempt' }, 60_000)
  await sessionsByOwner.add('a', { user: 'u1', providerSession: 'p1' }, 60_000)
  await denyList.add('d', 60_000)
  await eventLog.append(Buffer.of(6), '0-0')
  // Leaves out the name of the data set, which has a TTL of 30 days.
  const all = (await redis.cli('KEYS', '*')).split('\n').toSorted()
  const keys = all.filter((key) => key !== 'vestibule:{dataset}')
  expect(keys.map((key) => key.replace('vestibule:', ''))).toEqual(words`
    g:{u1} j:login:{c} p:{p1} u:{u1} {a}:l {a}:m {a}:s {a}:t {b}:x {denied} {events} {generation}
    {generation}:oldest
  `)
  for (const key of keys) {
    const ttlMs = Number(await redis.cli('PTTL', key))
    expect(ttlMs, key).toBeGreaterThan(40_000)
    // The counter outlives the keys that refer to it, and broadcasts have an hour.
    const longestMs = key.endsWith('{generation}') ? 120_000 : 60_000
    expect(ttlMs, key).toBeLessThanOrEqual(key.endsWith('{events}') ? LOGGED_MS : longestMs)
  }
})
