import { randomBytes } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Certificate, createAuthority } from '../../stand-ins/certificates.ts'
import {
  base as minimum,
  problemRows,
  problemsOf,
  settingsIn,
  useFolder,
} from '../support/configuration.ts'

const SECRET = 'the-redis-password-nobody-prints'
const APP = { username: 'app', password: SECRET, database: 4 }
const SENTINELS = 'REDIS_SENTINEL_ADDRESSES=s-0:26380,s-1,[::1]:5000 REDIS_SENTINEL_MASTER=mymaster'
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

test.for<[string, object]>([
  [`REDIS_USERNAME=app REDIS_PASSWORD=${SECRET} REDIS_DB=4`, APP],
  [`REDIS_ADDRESS=redis://app:${SECRET}@redis.example.com/4`, APP],
  [`REDIS_ADDRESS= REDIS_URL=redis://app:${SECRET}@redis.example.com/4`, APP],
  ['REDIS_ADDRESS=redis://redis.example.com/4 REDIS_DB=4', { database: 4 }],
  ['REDIS_DB=99', { database: 99 }],
  ['REDIS_ENABLE_TLS=true', { tls: { skipVerify: false } }],
  ['REDIS_ADDRESS=rediss://redis.example.com', { tls: { skipVerify: false } }],
  ['REDIS_ADDRESS=redis.example.com,ssl=True', { tls: { skipVerify: false } }],
  ['REDIS_ADDRESS=rediss://redis REDIS_ENABLE_TLS=true', { tls: { skipVerify: false } }],
  [
    'REDIS_ADDRESS=redis,ssl=True,sslHost=a.test',
    { tls: { skipVerify: false, serverName: 'a.test' } },
  ],
  [
    'REDIS_ADDRESS=redis,sslHost=a.test REDIS_ENABLE_TLS=true',
    { tls: { skipVerify: false, serverName: 'a.test' } },
  ],
  ['REDIS_ADDRESS=redis,name=portal', { clientName: 'portal' }],
  ['REDIS_ADDRESS=redis://redis REDIS_ENABLE_TLS=true', { tls: { skipVerify: false } }],
])('%s gives %o', ([settings, expected]) => {
  expect(loadConfig({ ...base, ...settingsIn(settings) }).redis).toEqual(
    expect.objectContaining(expected),
  )
})

test('time limits of the address stand for those of the settings', () => {
  const address = 'redis,connectTimeout=1500,syncTimeout=900'
  const { settings } = loadConfig({ ...base, REDIS_ADDRESS: address, REDIS_READ_TIMEOUT: '' })
  expect(settings).toMatchObject({
    REDIS_CONNECT_TIMEOUT: { ms: 1500 },
    REDIS_READ_TIMEOUT: { ms: 900 },
    REDIS_WRITE_TIMEOUT: { ms: 900 },
  })
})

test('a password file is remembered, to be read again', () => {
  const { redis } = loadConfig({ ...base, REDIS_PASSWORD_FILE: file('password') })
  expect(redis).toMatchObject({ password: SECRET, passwordFile: file('password') })
  expect(loadConfig({ ...base, REDIS_PASSWORD: SECRET }).redis).not.toHaveProperty('passwordFile')
})

test.for(['REDIS_ADDRESS_FILE', 'REDIS_URL_FILE'])('an address may come from %s', (name) => {
  const given = { REDIS_ADDRESS: '', [name]: file('password') }
  expect(loadConfig({ ...base, ...given }).redis).toMatchObject({
    host: SECRET,
    addressFile: file('password'),
  })
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

test('Sentinels take the place of an address', () => {
  const sentinelPasswordFile = file('password')
  const { redis } = loadConfig({
    ...base,
    ...settingsIn(SENTINELS),
    REDIS_ADDRESS: '',
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
])('with REDIS_CLUSTER %s names servers of a cluster', ([address, servers]) => {
  const { redis } = loadConfig({ ...base, REDIS_CLUSTER: 'true', REDIS_ADDRESS: address })
  const expected = servers.map((server) => {
    const [host, port] = server.split(':')
    return { host, port: Number(port) }
  })
  expect(redis).toMatchObject({ kind: 'cluster', servers: expected, database: 0 })
})

test.for(problemRows`
  REDIS_ADDRESS=redis.example.com ${SENTINELS}
  ^REDIS_ADDRESS: the Sentinels name the server: remove it, or REDIS_SENTINEL_ADDRESSES$
  REDIS_ADDRESS= REDIS_URL=redis://redis.example.com ${SENTINELS}
  ^REDIS_URL: the Sentinels name the server: remove it
  REDIS_ADDRESS= REDIS_CLUSTER=true ${SENTINELS}
  ^REDIS_CLUSTER: a Redis Cluster has no Sentinels: remove it, or REDIS_SENTINEL_ADDRESSES$
  REDIS_ADDRESS= ${SENTINELS} REDIS_SENTINEL_MASTER=
  ^REDIS_SENTINEL_MASTER: is missing: set the name that follows
  REDIS_ADDRESS= ${SENTINELS} REDIS_SENTINEL_ADDRESSES=good,redis://bad
  ^REDIS_SENTINEL_ADDRESSES: does not begin with host:port; write host:port$
  REDIS_ADDRESS=a:6379,b:6379,password=${SECRET}
  ^REDIS_ADDRESS: names several servers: set REDIS_CLUSTER=true .*, or REDIS_SENTINEL_ADDRESSES
  REDIS_CLUSTER=true REDIS_DB=1
  ^REDIS_DB: a Redis Cluster only has database 0: remove it$
  REDIS_CLUSTER=true REDIS_ADDRESS=redis://redis/1
  ^REDIS_DB: a Redis Cluster only has database 0: remove it$
  SESSION_ENCRYPTION_KEY=
  ^SESSION_ENCRYPTION_KEY: is missing: .*make one with: openssl rand -base64 32$
  REDIS_URL=redis://redis.example.com
  ^REDIS_ADDRESS and REDIS_URL are both set: remove one of them$
  REDIS_ADDRESS= REDIS_URL=redis://:${SECRET}@
  ^REDIS_URL: is not a URL
  REDIS_ADDRESS=redis://:${SECRET}@redis REDIS_PASSWORD=${SECRET}
  ^REDIS_PASSWORD: is also part of the address of Redis: remove one of them$
  REDIS_ADDRESS=redis,password=${SECRET} REDIS_PASSWORD_FILE=@password
  ^REDIS_PASSWORD: is also part of the address of Redis: remove one of them$
  REDIS_PASSWORD=${SECRET} REDIS_PASSWORD_FILE=@password
  ^REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set: remove one of them$
  REDIS_PASSWORD_FILE=@nowhere
  ^REDIS_PASSWORD_FILE: .*nowhere cannot be read \(ENOENT\)
  REDIS_ADDRESS=redis://app@redis REDIS_USERNAME=app
  ^REDIS_USERNAME: is also part of the address of Redis: remove one of them$
  REDIS_ADDRESS=redis://redis/1 REDIS_DB=2
  ^REDIS_DB: differs from the database in the address: remove one of them$
  REDIS_ADDRESS=redis://redis/0 REDIS_DB=2
  ^REDIS_DB: differs from the database
  REDIS_ADDRESS=redis,connectTimeout=1500 REDIS_CONNECT_TIMEOUT=5
  ^REDIS_CONNECT_TIMEOUT: differs from connectTimeout in the address: remove one of them$
  REDIS_ADDRESS=redis,syncTimeout=1500 REDIS_WRITE_TIMEOUT=3
  ^REDIS_WRITE_TIMEOUT: differs from syncTimeout in the address: remove one of them$
  REDIS_ADDRESS=redis,sslHost=redis.example.com
  ^REDIS_ADDRESS: has an sslHost without TLS: add ssl=True, or remove sslHost$
  REDIS_ENABLE_TLS=true REDIS_CERT_FILE=@cert.pem
  ^REDIS_CERT_FILE and REDIS_KEY_FILE: one of them is missing$
  REDIS_ENABLE_TLS=true REDIS_KEY_FILE=@key.pem
  ^REDIS_CERT_FILE and REDIS_KEY_FILE: one of them is missing$
  REDIS_ENABLE_TLS=true REDIS_CA_FILE=@nowhere
  ^REDIS_CA_FILE: .*ENOENT.*; name a readable PEM file$
  REDIS_ENABLE_TLS=true REDIS_CA_FILE=@text.pem
  ^REDIS_CA_FILE: .*; name a readable PEM file$
  REDIS_ENABLE_TLS=true REDIS_CERT_FILE=@nowhere REDIS_KEY_FILE=@key.pem
  ^REDIS_CERT_FILE: .*; name a readable PEM file$
  REDIS_ENABLE_TLS=true REDIS_CERT_FILE=@cert.pem REDIS_KEY_FILE=@nowhere
  ^REDIS_KEY_FILE: .*; name a readable PEM file$
  REDIS_ENABLE_TLS=true REDIS_CERT_FILE=@cert.pem REDIS_KEY_FILE=@text.pem
  ^REDIS_KEY_FILE: .*; name a readable PEM file$
`)('%s is the problem %s', ([settings, problem]) => {
  const problems = problemsWith(settingsIn(settings.replaceAll('=@', `=${file('')}/`)))
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
