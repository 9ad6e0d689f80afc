import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RedisTarget } from '../../src/store/client.ts'
import type { SharedState } from '../../src/store/open.ts'
import {
  describeOneTimeKeys,
  describeSessionIndex,
  describeStore,
  type UnderTest,
} from '../store/contract.ts'
import { createAuthority } from '../support/certificates.ts'
import { leastUser } from '../support/least-user.ts'
import { type RedisOptions, type RunningRedis, startRedis } from '../support/redis.ts'
import { openState, until } from '../support/redis-state.ts'

const PASSWORD = `it's "difficult" ${randomBytes(8).toString('hex')}`.replaceAll(/["' ]/g, '-')

interface Way {
  readonly server: () => Promise<RedisOptions>
  readonly target?: (redis: RunningRedis) => Promise<Partial<RedisTarget>>
}

const withTls = async (requireClientCertificate: boolean): Promise<RedisOptions> => ({
  tls: { authority: await createAuthority(), requireClientCertificate },
})
const read = (path: string) => readFile(path, 'utf8')

const WAYS: Readonly<Record<string, Way>> = {
  'plain Redis': { server: async () => ({}) },
  'Redis in another database': { server: async () => ({}), target: async () => ({ database: 7 }) },
  'Redis with a password': {
    server: async () => ({ password: PASSWORD }),
    target: async () => ({ password: PASSWORD }),
  },
  'Redis with a user that may do only what is documented': {
    server: async () => ({ password: 'of-the-default-user', users: [leastUser('app', PASSWORD)] }),
    target: async () => ({ username: 'app', password: PASSWORD }),
  },
  'Redis with TLS': {
    server: () => withTls(false),
    target: async ({ clientFiles }) => ({
      tls: { ca: await read(clientFiles.ca), skipVerify: false },
    }),
  },
  'Redis that asks for a certificate': {
    server: () => withTls(true),
    target: async ({ clientFiles: { ca, certificate, key } }) => ({
      tls: {
        ca: await read(ca),
        cert: await read(certificate),
        key: await read(key),
        skipVerify: false,
      },
    }),
  },
}

describe.concurrent.for(Object.entries(WAYS))('%s', ([name, way]) => {
  let redis: RunningRedis
  beforeAll(async () => {
    redis = await startRedis(await way.server())
  })
  afterAll(() => redis.stop())

  const open = async <T>(pick: (state: SharedState) => T): Promise<UnderTest<T>> => {
    const observed = openState({ port: redis.port, ...(await way.target?.(redis)) })
    await until('a connection', () => observed.state.isConnected)
    return {
      subject: pick(observed.state),
      elapse: (ms) => wait(ms),
      close: async () => {
        await observed.state.close()
        expect(observed.failures, 'no command fails').toEqual([])
      },
    }
  }
  describeStore(name, () => open(({ store }) => store))
  describeOneTimeKeys(name, () => open(({ oneTimeKeys }) => oneTimeKeys))
  describeSessionIndex(name, () => open(({ sessionIndex }) => sessionIndex))
})

test('every key that is written has an end', async () => {
  await using redis = await startRedis()
  await using observed = openState(redis)
  await until('an examination', () => observed.examinations.length > 0)
  const { store, oneTimeKeys, sessionIndex } = observed.state
  const records = { s: Buffer.of(1), t: Buffer.of(2), m: Buffer.of(3) }
  await store.create('a', records, 60_000)
  await store.create('b', records, 60_000)
  await store.extend('a', 50_000)
  await store.end('b', 60_000)
  await oneTimeKeys.consume('login', 'c', 'attempt', 60_000)
  await sessionIndex.add('a', { user: 'u1', providerSession: 'p1' }, 60_000)
  const keys = (await redis.cli('KEYS', '*')).split('\n').toSorted()
  expect(keys).toEqual([
    'vestibule:j:login:{c}',
    'vestibule:p:{p1}',
    'vestibule:u:{u1}',
    'vestibule:{a}:m',
    'vestibule:{a}:s',
    'vestibule:{a}:t',
    'vestibule:{b}:x',
  ])
  for (const key of keys) {
    const ttlMs = Number(await redis.cli('PTTL', key))
    expect(ttlMs, key).toBeGreaterThan(40_000)
    expect(ttlMs, key).toBeLessThanOrEqual(60_000)
  }
})
