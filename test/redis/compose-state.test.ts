import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Examination } from '../../src/redis/examine/examine.ts'
import type { ObservedRedis } from '../../src/store/shared-state.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { startTcpProxy, type TcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { startRedis } from '../support/redis.ts'
import { openConfigured, until, untilDataKnown } from '../support/redis-state.ts'

const SECRET = 'the-redis-password-nobody-logs'
const base = {
  PROTECTED_HOSTS: 'app.example.com',
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
  OIDC_CLIENT_SECRET: 'a secret',
  SESSION_ENCRYPTION_KEY: '0123456789abcdef'.repeat(4),
  REDIS_ENABLED: 'true',
} as const satisfies Environment

interface Line {
  readonly level: number
  readonly event: string
  readonly [field: string]: unknown
}

/** The state as the service opens it, and what it writes to the log. */
const open = (environment: Environment) => {
  const lines: Line[] = []
  const log = pino({ base: null }, { write: (text) => lines.push(JSON.parse(text) as Line) })
  const config = loadConfig({ ...base, ...environment })
  const state = openConfigured(config, log)
  return {
    state,
    lines,
    count: (event: string) => lines.filter((line) => line.event === event).length,
    [Symbol.asyncDispose]: () => state.close(),
  }
}
/** Whoever was connecting by now came before ourselves, and would be counted. */
const connectionsBut = async (proxy: TcpProxy): Promise<number> => {
  const own = connect(proxy.port, '127.0.0.1')
  await once(own, 'connect')
  await until('ourselves', () => proxy.connections() > 0)
  const count = proxy.connections() - 1
  own.destroy()
  return count
}
const folderOf = async () => {
  const path = await mkdtemp(join(tmpdir(), 'vestibule-state-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

test.for([{ REDIS_CACHE_MODE: 'memory' }, { REDIS_ENABLED: 'false' }])(
  'with %o Redis is left alone',
  async (mode, { expect }) => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = open({ ...mode, REDIS_ADDRESS: `127.0.0.1:${proxy.port}` })
    await opened.state.firstAttempt
    expect(await connectionsBut(proxy)).toBe(0)
    expect(opened.state.redis).toBeUndefined()
    expect(opened.lines).toEqual([])
  },
)

test('connections and losses are logged once each, a finding when it comes up, the password never', async () => {
  await using redis = await startRedis({ password: SECRET })
  await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  await using opened = open({ REDIS_ADDRESS: `127.0.0.1:${redis.port},password=${SECRET}` })
  await until('a finding', () => opened.count('redis_finding') === 1)
  await untilDataKnown(opened.state.redis as ObservedRedis)
  await until('the first backplane', () => opened.count('backplane_healthy') === 1)
  await redis.restart({ args: ['--maxmemory-policy', 'allkeys-lru'] })
  await until('the next connection', () => opened.count('redis_connected') === 2)
  await until('the loss of data', () => opened.count('redis_data_changed') === 1)
  await until('the backplane', () => opened.count('backplane_healthy') === 2)
  await redis.kill()
  await until('the loss', () => opened.count('redis_disconnected') === 2)
  await until('the loss of the backplane', () => opened.count('backplane_broken') === 2)
  const ofConnection = opened.lines.filter(({ event }) => !event.startsWith('backplane_'))
  expect(ofConnection).toMatchObject([
    { level: 30, event: 'redis_connected' },
    { level: 40, event: 'redis_finding', code: 'eviction' },
    { level: 50, event: 'redis_disconnected', failure: 'connection' },
    { level: 30, event: 'redis_connected' },
    { level: 50, event: 'redis_data_changed' },
    { level: 50, event: 'redis_disconnected', failure: 'connection' },
  ])
  expect(ofConnection).toHaveLength(6)
  const ofBackplane = opened.lines.filter(({ event }) => event.startsWith('backplane_'))
  expect(ofBackplane).toMatchObject([
    { level: 30, event: 'backplane_healthy' },
    { level: 40, event: 'backplane_broken' },
    { level: 30, event: 'backplane_healthy' },
    { level: 40, event: 'backplane_broken' },
  ])
  expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
})

test('a wrong password is told by its class, and not shown', async () => {
  await using redis = await startRedis({ password: 'right' })
  await using opened = open({ REDIS_ADDRESS: `redis://:${SECRET}@127.0.0.1:${redis.port}` })
  await opened.state.firstAttempt
  await until('a line', () => opened.lines.length > 0)
  expect(opened.lines).toMatchObject([{ event: 'redis_disconnected', failure: 'auth' }])
  expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
})

test('where files of TLS are away from the start, nothing is sent, least of all in clear', async () => {
  await using folder = await folderOf()
  await using redis = await startRedis()
  await using proxy = await startTcpProxy(redis.port)
  const authority = await createAuthority()
  const caFile = join(folder.path, 'ca.pem')
  await writeFile(caFile, authority.certificate)
  const config = {
    REDIS_ADDRESS: `rediss://127.0.0.1:${proxy.port}`,
    REDIS_CA_FILE: caFile,
    REDIS_CERT_FILE: caFile,
    REDIS_KEY_FILE: join(folder.path, 'key.pem'),
  }
  await writeFile(config.REDIS_KEY_FILE, (await authority.issue(['vestibule'])).privateKey)
  const loaded = loadConfig({ ...base, ...config })
  await rm(config.REDIS_KEY_FILE)
  const lines: Line[] = []
  const log = pino({ base: null }, { write: (text) => lines.push(JSON.parse(text) as Line) })
  const state = openConfigured(loaded, log)
  await state.firstAttempt
  expect(state.redis?.isConnected).toBe(false)
  expect(await connectionsBut(proxy)).toBe(0)
  const unreadable = {
    event: 'redis_file_unreadable',
    reason: 'ENOENT',
    path: config.REDIS_KEY_FILE,
  }
  expect(lines).toContainEqual(expect.objectContaining(unreadable))
  await state.close()
})

test('a file that is away later leaves what was read last, and is logged', async () => {
  await using folder = await folderOf()
  const passwordFile = join(folder.path, 'password')
  await writeFile(passwordFile, `${SECRET}\n`)
  await using redis = await startRedis({ password: SECRET })
  await using opened = open({
    REDIS_ADDRESS: `127.0.0.1:${redis.port}`,
    REDIS_PASSWORD_FILE: passwordFile,
  })
  await until('a connection', () => opened.state.redis?.isConnected === true)
  await rm(passwordFile)
  await redis.restart()
  await until('the next connection', () => opened.count('redis_connected') === 2)
  expect(opened.lines).toContainEqual(
    expect.objectContaining({ event: 'redis_file_unreadable', path: passwordFile }),
  )
  await writeFile(passwordFile, SECRET)
  await redis.restart()
  await until('one more connection', () => opened.count('redis_connected') === 3)
})

const addressFiles = [
  ['REDIS_URL_FILE', (password: string, port: number) => `redis://:${password}@127.0.0.1:${port}`],
  [
    'REDIS_ADDRESS_FILE',
    (password: string, port: number) => `127.0.0.1:${port},password=${password}`,
  ],
] as const

test.for(addressFiles)(
  'a password in %s is read again, and what is no address leaves what was read last',
  async ([name, addressWith], { expect }) => {
    await using folder = await folderOf()
    const addressFile = join(folder.path, 'address')
    await using redis = await startRedis({ password: 'the-first' })
    await writeFile(addressFile, `${addressWith('the-first', redis.port)}\n`)
    await using opened = open({ [name]: addressFile })
    await until('a connection', () => opened.count('redis_connected') === 1)
    /** While it is examined a connection is a subscriber, too, and no normal one. */
    const untilExamined = async () => {
      const before = examined
      await until('its examination', () => opened.state.redis?.examination !== before)
      examined = opened.state.redis?.examination
    }
    let examined: Examination | undefined
    await untilExamined()
    await writeFile(addressFile, addressWith(SECRET, redis.port))
    await redis.cli('CONFIG', 'SET', 'requirepass', SECRET)
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('the next connection', () => opened.count('redis_connected') === 2)
    await untilExamined()
    await writeFile(addressFile, `redis://:${SECRET}%@127.0.0.1`)
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('one more connection', () => opened.count('redis_connected') === 3)
    expect(opened.lines.filter(({ event }) => event === 'redis_file_unreadable')).toMatchObject([
      { path: addressFile, reason: expect.stringMatching(/not written as %25$/) as string },
    ])
    expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
  },
)

test('Sentinels that cannot be asked are told once, and asked with what is in the file by then', async () => {
  await using folder = await folderOf()
  const passwordFile = join(folder.path, 'password')
  await writeFile(passwordFile, 'the-first')
  await using redis = await startRedis()
  await using sentinel = await startRedis({
    password: 'the-first',
    lines: [`sentinel monitor the-primary 127.0.0.1 ${redis.port} 1`],
    args: ['--sentinel'],
  })
  await using opened = open({
    REDIS_SENTINEL_ADDRESSES: `127.0.0.1:${sentinel.port}`,
    REDIS_SENTINEL_MASTER: 'the-primary',
    REDIS_SENTINEL_PASSWORD_FILE: passwordFile,
  })
  await until('a connection', () => opened.count('redis_connected') === 1)
  const rotate = async () => {
    await sentinel.cli('ACL', 'SETUSER', 'default', 'resetpass', `>${SECRET}`)
    await sentinel.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  }
  await rotate()
  await until('what is told', () => opened.count('sentinels_away') > 0)
  await writeFile(passwordFile, SECRET)
  await until('the Sentinel', () => opened.count('sentinels_back') > 0)
  // Connections that are closed, and can be opened anew at once, are nothing to speak of.
  const received = async () =>
    Number(/total_connections_received:(\d+)/.exec(await sentinel.cli('INFO', 'stats'))?.[1])
  const before = await received()
  await sentinel.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until('new connections', async () => (await received()) >= before + 2)
  const told = opened.lines.filter(({ event }) => !event.startsWith('backplane_'))
  expect(told).toMatchObject([
    { level: 30, event: 'redis_connected' },
    {
      level: 50,
      event: 'sentinels_away',
      failure: 'auth',
      reason: expect.stringContaining('check REDIS_SENTINEL_USERNAME') as string,
    },
    { level: 30, event: 'sentinels_back' },
  ])
  expect(told).toHaveLength(3)
  expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
})
