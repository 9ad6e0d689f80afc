import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Certificate, createAuthority } from '../../stand-ins/certificates.ts'
import { base as minimum, problemsOf, useFolder } from '../support/configuration.ts'

const SECRET = 'the-redis-password-nobody-prints'
const base = {
  ...minimum,
  SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  REDIS_ENABLED: 'true',
  REDIS_ADDRESS: 'redis.example.com',
} as const satisfies Environment

function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

const { pathOf: file, write } = useFolder()
let issued: Certificate
beforeAll(async () => {
  issued = await (await createAuthority()).issue(['redis.example.com'])
  await write(issued.certificate, 'cert.pem')
  await write(issued.privateKey, 'key.pem')
  await write(`${SECRET}\n`, 'password')
  await write('no certificate', 'text.pem')
})

describe('Redis by its settings', () => {
  test('an address is enough beside the key', () => {
    expect(loadConfig(base).redis).toEqual({
      kind: 'single',
      host: 'redis.example.com',
      port: 6379,
      database: 0,
    })
  })

  test('memory mode knows no Redis, whatever else is set', () => {
    const other = { REDIS_CA_FILE: '/nowhere', REDIS_PASSWORD: SECRET, SESSION_ENCRYPTION_KEY: '' }
    expect(loadConfig({ ...base, ...other, REDIS_CACHE_MODE: 'memory' }).redis).toBeUndefined()
    expect(loadConfig({ ...base, ...other, REDIS_ENABLED: 'false' }).redis).toBeUndefined()
  })

  test('every mode but memory knows it', () => {
    for (const mode of ['redis', 'hybrid'] as const) {
      const config = loadConfig({ ...base, REDIS_CACHE_MODE: mode })
      expect(config.settings.REDIS_CACHE_MODE).toBe(mode)
      expect(config.redis).toEqual(loadConfig(base).redis)
    }
  })

  test('credentials and database come from settings or from the address', () => {
    const settings = { REDIS_USERNAME: 'app', REDIS_PASSWORD: SECRET, REDIS_DB: '4' }
    const address = `redis://app:${SECRET}@redis.example.com/4`
    const expected = { username: 'app', password: SECRET, database: 4 }
    expect(loadConfig({ ...base, ...settings }).redis).toMatchObject(expected)
    expect(loadConfig({ ...base, REDIS_ADDRESS: address }).redis).toMatchObject(expected)
    const url = { REDIS_ADDRESS: '', REDIS_URL: address }
    expect(loadConfig({ ...base, ...url }).redis).toMatchObject(expected)
  })

  test('the same database in both places is no conflict', () => {
    const same = { REDIS_ADDRESS: 'redis://redis.example.com/4', REDIS_DB: '4' }
    expect(loadConfig({ ...base, ...same }).redis?.database).toBe(4)
    const address = { REDIS_ADDRESS: 'redis://redis.example.com/4' }
    expect(loadConfig({ ...base, ...address }).redis?.database).toBe(4)
  })

  test('a password file is remembered, to be read again', () => {
    const { redis } = loadConfig({ ...base, REDIS_PASSWORD_FILE: file('password') })
    expect(redis).toMatchObject({ password: SECRET, passwordFile: file('password') })
    const given = loadConfig({ ...base, REDIS_PASSWORD: SECRET }).redis
    expect(given).not.toHaveProperty('passwordFile')
  })

  test.for(['REDIS_ADDRESS_FILE', 'REDIS_URL_FILE'])(
    'an address may come from %s, since it may hold a password, and is remembered',
    (name, { expect }) => {
      const given = { REDIS_ADDRESS: '', [name]: file('password') }
      expect(loadConfig({ ...base, ...given }).redis).toMatchObject({
        host: SECRET,
        addressFile: file('password'),
      })
    },
  )

  test('a database is any number, in a setting and in an address', () => {
    for (const given of [
      { REDIS_DB: '99' },
      { REDIS_ADDRESS: 'redis://redis.example.com/99' },
      { REDIS_ADDRESS: 'redis.example.com,defaultDatabase=99' },
    ]) {
      expect(loadConfig({ ...base, ...given }).redis?.database).toBe(99)
    }
  })

  test.for<[string, Environment]>([
    ['a setting', { REDIS_ENABLE_TLS: 'true' }],
    ['rediss://', { REDIS_ADDRESS: 'rediss://redis.example.com' }],
    ['ssl=True', { REDIS_ADDRESS: 'redis.example.com,ssl=True' }],
    ['both', { REDIS_ADDRESS: 'rediss://redis.example.com', REDIS_ENABLE_TLS: 'true' }],
    [
      'a setting beside redis://',
      { REDIS_ADDRESS: 'redis://redis.example.com', REDIS_ENABLE_TLS: 'true' },
    ],
  ])('TLS is spoken for %s', ([, changes], { expect }) => {
    expect(loadConfig({ ...base, ...changes }).redis?.tls).toEqual({ skipVerify: false })
  })

  test('files of TLS are named and not read', () => {
    const tls = {
      REDIS_ENABLE_TLS: 'true',
      REDIS_TLS_SKIP_VERIFY: 'true',
      REDIS_CA_FILE: file('cert.pem'),
      REDIS_CERT_FILE: file('cert.pem'),
      REDIS_KEY_FILE: file('key.pem'),
    }
    expect(loadConfig({ ...base, ...tls }).redis?.tls).toEqual({
      skipVerify: true,
      caFile: file('cert.pem'),
      certFile: file('cert.pem'),
      keyFile: file('key.pem'),
    })
  })

  const sentinels = {
    REDIS_ADDRESS: '',
    REDIS_SENTINEL_ADDRESSES: 's-0:26380, s-1,[::1]:5000',
    REDIS_SENTINEL_MASTER: 'mymaster',
  } as const

  test('Sentinels take the place of an address', () => {
    const sentinelPasswordFile = file('password')
    const { redis } = loadConfig({
      ...base,
      ...sentinels,
      REDIS_SENTINEL_USERNAME: 'watcher',
      REDIS_SENTINEL_PASSWORD_FILE: sentinelPasswordFile,
      REDIS_PASSWORD: 'of-the-server',
      REDIS_DB: '3',
      REDIS_ENABLE_TLS: 'true',
    })
    expect(redis).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 's-0', port: 26_380 },
        { host: 's-1', port: 26_379 },
        { host: '::1', port: 5000 },
      ],
      primaryName: 'mymaster',
      sentinelUsername: 'watcher',
      sentinelPassword: SECRET,
      sentinelPasswordFile,
      password: 'of-the-server',
      database: 3,
      tls: { skipVerify: false },
    })
  })

  test.for<[string, string[]]>([
    ['redis-0', ['redis-0:6379']],
    ['redis-0:7000,redis-1:7001,password=x', ['redis-0:7000', 'redis-1:7001']],
    ['redis://:x@redis-0:7000', ['redis-0:7000']],
  ])('with REDIS_CLUSTER %s names servers of a cluster', ([address, servers], { expect }) => {
    const { redis } = loadConfig({ ...base, REDIS_CLUSTER: 'true', REDIS_ADDRESS: address })
    const expected = servers.map((server) => {
      const [host, port] = server.split(':')
      return { host, port: Number(port) }
    })
    expect(redis).toMatchObject({ kind: 'cluster', servers: expected, database: 0 })
  })

  test.for<[string, (at: typeof file) => Environment, RegExp]>([
    [
      'Sentinels and an address',
      () => ({ ...sentinels, REDIS_ADDRESS: 'redis.example.com' }),
      /^REDIS_ADDRESS: the Sentinels name the server: remove it, or REDIS_SENTINEL_ADDRESSES$/,
    ],
    [
      'Sentinels and a URL',
      () => ({ ...sentinels, REDIS_URL: 'redis://redis.example.com' }),
      /^REDIS_URL: the Sentinels name the server: remove it/,
    ],
    [
      'Sentinels and a cluster',
      () => ({ ...sentinels, REDIS_CLUSTER: 'true' }),
      /^REDIS_CLUSTER: a Redis Cluster has no Sentinels: remove it, or REDIS_SENTINEL_ADDRESSES$/,
    ],
    [
      'Sentinels without the name of a primary',
      () => ({ ...sentinels, REDIS_SENTINEL_MASTER: '' }),
      /^REDIS_SENTINEL_MASTER: is missing: set the name that follows/,
    ],
    [
      'a Sentinel that is none',
      () => ({ ...sentinels, REDIS_SENTINEL_ADDRESSES: 'good,redis://bad' }),
      /^REDIS_SENTINEL_ADDRESSES: does not begin with host:port; write host:port$/,
    ],
    ...(
      ['REDIS_SENTINEL_MASTER', 'REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD'] as const
    ).map(
      (name) =>
        [
          `${name} without Sentinels`,
          () => ({ [name]: SECRET }),
          new RegExp(`^${name}: has no use without Sentinels: set REDIS_SENTINEL_ADDRESSES$`),
        ] as [string, () => Environment, RegExp],
    ),
    [
      'several servers that are no cluster',
      () => ({ REDIS_ADDRESS: `a:6379,b:6379,password=${SECRET}` }),
      /^REDIS_ADDRESS: names several servers: set REDIS_CLUSTER=true .*, or REDIS_SENTINEL_ADDRESSES/,
    ],
    [
      'a cluster with another database',
      () => ({ REDIS_CLUSTER: 'true', REDIS_DB: '1' }),
      /^REDIS_DB: a Redis Cluster only has database 0: remove it$/,
    ],
    [
      'a cluster with another database in the address',
      () => ({ REDIS_CLUSTER: 'true', REDIS_ADDRESS: 'redis://redis/1' }),
      /^REDIS_DB: a Redis Cluster only has database 0: remove it$/,
    ],
    [
      'a shared store without a key',
      () => ({ SESSION_ENCRYPTION_KEY: '' }),
      /^SESSION_ENCRYPTION_KEY: is missing: .*make one with: openssl rand -base64 32$/,
    ],
    [
      'no address',
      () => ({ REDIS_ADDRESS: '' }),
      /^REDIS_ADDRESS: is missing, and REDIS_ENABLED is true: set host:port, REDIS_URL, or REDIS_SENTINEL_ADDRESSES$/,
    ],
    [
      'two addresses',
      () => ({ REDIS_URL: 'redis://redis.example.com' }),
      /^REDIS_ADDRESS and REDIS_URL are both set: remove one of them$/,
    ],
    [
      'an address that is none',
      () => ({ REDIS_ADDRESS: 'redis.example.com:redis' }),
      /^REDIS_ADDRESS: does not begin with host:port/,
    ],
    [
      'a URL that is none',
      () => ({ REDIS_ADDRESS: '', REDIS_URL: `redis://:${SECRET}@` }),
      /^REDIS_URL: is not a URL/,
    ],
    [
      'a password in address and setting',
      () => ({ REDIS_ADDRESS: `redis://:${SECRET}@redis`, REDIS_PASSWORD: SECRET }),
      /^REDIS_PASSWORD: is also part of the address of Redis: remove one of them$/,
    ],
    [
      'a password in address and file',
      (at) => ({
        REDIS_ADDRESS: `redis,password=${SECRET}`,
        REDIS_PASSWORD_FILE: at('password'),
      }),
      /^REDIS_PASSWORD: is also part of the address of Redis: remove one of them$/,
    ],
    [
      'a password in setting and file',
      (at) => ({ REDIS_PASSWORD: SECRET, REDIS_PASSWORD_FILE: at('password') }),
      /^REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set: remove one of them$/,
    ],
    [
      'a password file that cannot be read',
      (at) => ({ REDIS_PASSWORD_FILE: at('nowhere') }),
      /^REDIS_PASSWORD_FILE: .*nowhere cannot be read \(ENOENT\)/,
    ],
    [
      'a user in address and setting',
      () => ({ REDIS_ADDRESS: 'redis://app@redis', REDIS_USERNAME: 'app' }),
      /^REDIS_USERNAME: is also part of the address of Redis: remove one of them$/,
    ],
    [
      'two databases',
      () => ({ REDIS_ADDRESS: 'redis://redis/1', REDIS_DB: '2' }),
      /^REDIS_DB: differs from the database in the address: remove one of them$/,
    ],
    [
      'database 0 in the address and another in the setting',
      () => ({ REDIS_ADDRESS: 'redis://redis/0', REDIS_DB: '2' }),
      /^REDIS_DB: differs from the database/,
    ],
    ...(['REDIS_CA_FILE', 'REDIS_CERT_FILE', 'REDIS_KEY_FILE'] as const).map(
      (name) =>
        [
          `${name} without TLS`,
          (at: typeof file) => ({ [name]: at('cert.pem') }),
          new RegExp(`^${name}: has no use without TLS: set REDIS_ENABLE_TLS=true$`),
        ] as [string, (at: typeof file) => Environment, RegExp],
    ),
    [
      'a certificate without its key',
      (at) => ({ REDIS_ENABLE_TLS: 'true', REDIS_CERT_FILE: at('cert.pem') }),
      /^REDIS_CERT_FILE and REDIS_KEY_FILE: one of them is missing$/,
    ],
    [
      'a key without its certificate',
      (at) => ({ REDIS_ENABLE_TLS: 'true', REDIS_KEY_FILE: at('key.pem') }),
      /^REDIS_CERT_FILE and REDIS_KEY_FILE: one of them is missing$/,
    ],
    [
      'an authority that cannot be read',
      (at) => ({ REDIS_ENABLE_TLS: 'true', REDIS_CA_FILE: at('nowhere') }),
      /^REDIS_CA_FILE: .*ENOENT.*; name a readable PEM file$/,
    ],
    [
      'an authority that is no certificate',
      (at) => ({ REDIS_ENABLE_TLS: 'true', REDIS_CA_FILE: at('text.pem') }),
      /^REDIS_CA_FILE: .*; name a readable PEM file$/,
    ],
    [
      'a certificate that cannot be read',
      (at) => ({
        REDIS_ENABLE_TLS: 'true',
        REDIS_CERT_FILE: at('nowhere'),
        REDIS_KEY_FILE: at('key.pem'),
      }),
      /^REDIS_CERT_FILE: .*; name a readable PEM file$/,
    ],
    [
      'a key that cannot be read',
      (at) => ({
        REDIS_ENABLE_TLS: 'true',
        REDIS_CERT_FILE: at('cert.pem'),
        REDIS_KEY_FILE: at('nowhere'),
      }),
      /^REDIS_KEY_FILE: .*; name a readable PEM file$/,
    ],
    [
      'a key that is none',
      (at) => ({
        REDIS_ENABLE_TLS: 'true',
        REDIS_CERT_FILE: at('cert.pem'),
        REDIS_KEY_FILE: at('text.pem'),
      }),
      /^REDIS_KEY_FILE: .*; name a readable PEM file$/,
    ],
  ])('%s is one problem with a remedy', ([, changes, problem], { expect }) => {
    const problems = problemsWith(changes(file))
    expect(problems).toEqual([expect.stringMatching(problem)])
    expect(problems[0]).not.toContain(SECRET)
  })

  test('what is wrong is told all at once', () => {
    const wrong = {
      SESSION_ENCRYPTION_KEY: '',
      REDIS_ADDRESS: 'rediss://app:x@redis/1',
      REDIS_USERNAME: 'app',
      REDIS_PASSWORD: 'x',
      REDIS_DB: '2',
      REDIS_CERT_FILE: file('cert.pem'),
    }
    expect(problemsWith(wrong).map((problem) => problem.split(/[: ]/)[0])).toEqual([
      'SESSION_ENCRYPTION_KEY',
      'REDIS_CERT_FILE',
      'REDIS_USERNAME',
      'REDIS_PASSWORD',
      'REDIS_DB',
    ])
  })
})
