import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Access, RedisTarget } from '../../src/store/client.ts'
import type { SharedPorts } from '../../src/store/open.ts'
import {
  describeOneTimeKeys,
  describeSessionIndex,
  describeStore,
  type UnderTest,
} from '../store/contract.ts'
import { describeDenyList } from '../store/deny-list-contract.ts'
import { describeGenerations } from '../store/generations-contract.ts'
import { describeListing } from '../store/listing-contract.ts'
import { describeLocks } from '../store/locks-contract.ts'
import { describeReplacement } from '../store/replacement-contract.ts'
import { createAuthority } from '../support/certificates.ts'
import { leastUser } from '../support/least-user.ts'
import { type RedisOptions, type RunningRedis, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startWatchedRedis } from '../support/redis-sentinel.ts'
import { type ObservedState, openState, until } from '../support/redis-state.ts'

const PASSWORD = `it's "difficult" ${randomBytes(8).toString('hex')}`.replaceAll(/["' ]/g, '-')

/** Some Redis, and how to reach it. */
interface Reached {
  readonly target: Parameters<typeof openState>[0]
  readonly stop: () => Promise<void>
}

const single =
  (
    options: () => Promise<RedisOptions>,
    target: (
      redis: RunningRedis,
    ) => Promise<Partial<Access & { database: number }>> = async () => ({}),
  ) =>
  async (): Promise<Reached> => {
    const redis = await startRedis(await options())
    return { target: { port: redis.port, ...(await target(redis)) }, stop: redis.stop }
  }
const several = (
  redis: AsyncDisposable & { readonly target: RedisTarget },
  access: Access = {},
): Reached => ({
  target: { ...redis.target, ...access },
  stop: async () => redis[Symbol.asyncDispose](),
})
const withTls = async (requireClientCertificate: boolean): Promise<RedisOptions> => ({
  tls: { authority: await createAuthority(), requireClientCertificate },
})
const read = (path: string) => readFile(path, 'utf8')

type Ways = Readonly<Record<string, () => Promise<Reached>>>

const SINGLE: Ways = {
  'plain Redis': single(async () => ({})),
  'Redis in another database': single(
    async () => ({}),
    async () => ({ database: 7 }),
  ),
  'Redis with a password': single(
    async () => ({ password: PASSWORD }),
    async () => ({ password: PASSWORD }),
  ),
  'Redis with a user that may do only what is documented': single(
    async () => ({ password: 'of-the-default-user', users: [leastUser('app', PASSWORD)] }),
    async () => ({ username: 'app', password: PASSWORD }),
  ),
  'Redis with TLS': single(
    () => withTls(false),
    async ({ clientFiles }) => ({
      tls: { ca: await read(clientFiles.ca), skipVerify: false },
    }),
  ),
  'Redis that asks for a certificate': single(
    () => withTls(true),
    async ({ clientFiles: { ca, certificate, key } }) => ({
      tls: {
        ca: await read(ca),
        cert: await read(certificate),
        key: await read(key),
        skipVerify: false,
      },
    }),
  ),
}

const SEVERAL: Ways = {
  'Redis behind Sentinels': async () => several(await startWatchedRedis()),
  'Redis behind Sentinels that ask for a password, all with TLS': async () => {
    const authority = await createAuthority()
    const redis = await startWatchedRedis({ tls: { authority }, sentinelPassword: PASSWORD })
    return several(redis, { tls: { ca: authority.certificate, skipVerify: false } })
  },
  'a Redis Cluster of one shard': async () => several(await startCluster({ shards: 1 })),
  'a Redis Cluster of three shards with a password': async () =>
    several(await startCluster({ shards: 3, replicasPerShard: 1, password: PASSWORD })),
}

const describeContracts = ([name, reach]: [string, () => Promise<Reached>]): void => {
  let reached: Reached
  let observed: ObservedState
  let failedBefore: number
  beforeAll(async () => {
    reached = await reach()
    observed = openState(reached.target)
    await until('a connection', () => observed.connected() > 0)
    // Subscriber and commands connect each for themselves, and the one may have something to say before the other can.
    failedBefore = observed.failures.length
  })
  afterAll(async () => {
    await observed.state.close()
    await reached.stop()
    expect(observed.failures.slice(failedBefore), 'no command fails').toEqual([])
  })
  const over =
    <K extends keyof SharedPorts>(port: K) =>
    (): UnderTest<SharedPorts[K]> => ({
      subject: observed.state[port],
      elapse: (ms) => wait(ms),
    })

  // Most of it is waiting.
  describe.concurrent('asked for much at once', () => {
    for (const describeOne of [describeStore, describeReplacement, describeListing]) {
      describeOne(name, over('store'))
    }
    describeLocks(name, over('locks'))
    describeGenerations(name, over('generations'))
    describeOneTimeKeys(name, over('oneTimeKeys'))
    describeSessionIndex(name, over('sessionIndex'))
    describeDenyList(name, over('denyList'))
  })
}

describe.concurrent.for(Object.entries(SINGLE))('%s', describeContracts)
// One after the other: their servers together leave this machine little time for the tests.
describe.for(Object.entries(SEVERAL))('%s', describeContracts)

test('every key that is written has an end', async () => {
  await using redis = await startRedis()
  await using observed = openState(redis)
  await until('an examination', () => observed.examinations.length > 0)
  const { store, oneTimeKeys, sessionIndex, locks, generations, denyList } = observed.state
  const records = { s: Buffer.of(1), t: Buffer.of(2), m: Buffer.of(3) }
  await store.create('a', records, 60_000)
  await store.create('b', records, 60_000)
  await store.extend('a', 50_000)
  await store.replace('a', { s: Buffer.of(4), t: Buffer.of(5) }, records.t)
  await store.end('b', 60_000)
  await locks.acquire('a', 'owner', 'note', 60_000)
  await locks.hold('a', 'owner', 'another', 50_000)
  await generations.advance('u1', 60_000)
  await generations.advance(undefined, 60_000)
  await oneTimeKeys.consume('login', 'c', 'attempt', 60_000)
  await sessionIndex.add('a', { user: 'u1', providerSession: 'p1' }, 60_000)
  await denyList.add('d', 60_000)
  const keys = (await redis.cli('KEYS', '*'))
    .split('\n')
    // The name of the data lives on while Redis does.
    .filter((key) => key !== 'vestibule:{dataset}')
    .toSorted()
  expect(keys).toEqual([
    'vestibule:g:{u1}',
    'vestibule:j:login:{c}',
    'vestibule:p:{p1}',
    'vestibule:u:{u1}',
    'vestibule:{a}:l',
    'vestibule:{a}:m',
    'vestibule:{a}:s',
    'vestibule:{a}:t',
    'vestibule:{b}:x',
    'vestibule:{denied}',
    'vestibule:{generation}',
    'vestibule:{generation}:oldest',
  ])
  for (const key of keys) {
    const ttlMs = Number(await redis.cli('PTTL', key))
    expect(ttlMs, key).toBeGreaterThan(40_000)
    // The counter outlives what refers to it.
    expect(ttlMs, key).toBeLessThanOrEqual(key.endsWith('{generation}') ? 120_000 : 60_000)
  }
})
