import { once } from 'node:events'
import { mkdtempDisposable, rm, writeFile } from 'node:fs/promises'
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
import { base as minimum, settingsIn } from '../support/configuration.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { openConfigured, until, untilDataKnown } from '../support/redis-state.ts'

const SECRET = 'the-redis-password-nobody-logs'
const base = {
  ...minimum,
  SESSION_ENCRYPTION_KEY: '0123456789abcdef'.repeat(4),
  REDIS_ENABLED: 'true',
} as const satisfies Environment

interface Line {
  readonly level: number
  readonly event: string
  readonly [field: string]: unknown
}

/** Opens the state as the service does, and records its log lines. `beforeOpen` runs once the settings are loaded. */
async function open(environment: Environment, beforeOpen = async () => undefined as void) {
  const lines: Line[] = []
  const log = pino({ base: null }, { write: (text) => lines.push(JSON.parse(text) as Line) })
  const config = loadConfig({ ...base, ...environment })
  await beforeOpen()
  const state = openConfigured(config, log)
  const count = (event: string) => lines.filter((line) => line.event === event).length
  return {
    state,
    lines,
    count,
    untilCount: (event: string, expected: number) =>
      until(`${event} ${expected} times`, () => count(event) === expected),
    [Symbol.asyncDispose]: () => state.close(),
  }
}

async function connectionsBut(proxy: TcpProxy): Promise<number> {
  const own = connect(proxy.port, '127.0.0.1')
  await once(own, 'connect')
  await until('ourselves', () => proxy.connections() > 0)
  const count = proxy.connections() - 1
  own.destroy()
  return count
}

const makeFolder = () => mkdtempDisposable(join(tmpdir(), 'vestibule-state-'))

function killConnections({ cli }: RunningRedis) {
  return cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
}

const without = ['REDIS_CACHE_MODE=memory', 'REDIS_ENABLED=false']
test.for(without)('with %s nothing connects', async (mode) => {
  await using redis = await startRedis()
  await using proxy = await startTcpProxy(redis.port)
  await using opened = await open({
    ...settingsIn(mode),
    REDIS_ADDRESS: `127.0.0.1:${proxy.port}`,
  })
  await opened.state.firstAttempt
  expect([await connectionsBut(proxy), opened.state.redis]).toEqual([0, undefined])
  expect(opened.lines).toEqual([])
})

test('each connection, loss and finding is logged once, the password never', async () => {
  await using redis = await startRedis({ password: SECRET })
  await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  await using opened = await open({ REDIS_ADDRESS: `127.0.0.1:${redis.port},password=${SECRET}` })
  await opened.untilCount('redis_finding', 1)
  await untilDataKnown(opened.state.redis as ObservedRedis)
  await opened.untilCount('backplane_healthy', 1)
  await redis.restart({ args: ['--maxmemory-policy', 'allkeys-lru'] })
  await opened.untilCount('redis_connected', 2)
  await opened.untilCount('redis_data_changed', 1)
  await opened.untilCount('backplane_healthy', 2)
  await redis.kill()
  await opened.untilCount('redis_disconnected', 2)
  await opened.untilCount('backplane_broken', 2)
  const ofConnection = opened.lines.filter(({ event }) => !event.startsWith('backplane_'))
  expect(ofConnection).toMatchObject([
    { level: 30, event: 'redis_connected' },
    { level: 40, event: 'redis_finding', code: 'eviction' },
    { level: 50, event: 'redis_disconnected', failure: 'connection' },
    { level: 30, event: 'redis_connected' },
    { level: 50, event: 'redis_data_changed' },
    { level: 50, event: 'redis_disconnected', failure: 'connection' },
  ])
  const ofBackplane = opened.lines.filter(({ event }) => event.startsWith('backplane_'))
  expect(ofBackplane).toMatchObject([
    { level: 30, event: 'backplane_healthy' },
    { level: 40, event: 'backplane_broken' },
    { level: 30, event: 'backplane_healthy' },
    { level: 40, event: 'backplane_broken' },
  ])
  expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
})

test('a wrong password is logged as auth, without the password', async () => {
  await using redis = await startRedis({ password: 'right' })
  await using opened = await open({ REDIS_ADDRESS: `redis://:${SECRET}@127.0.0.1:${redis.port}` })
  await opened.state.firstAttempt
  await until('a line', () => opened.lines.length > 0)
  expect(opened.lines).toMatchObject([{ event: 'redis_disconnected', failure: 'auth' }])
  expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
})

test('nothing is sent when a TLS file is missing at the start', async () => {
  await using folder = await makeFolder()
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
  await using opened = await open(config, () => rm(config.REDIS_KEY_FILE))
  await opened.state.firstAttempt
  expect([opened.state.redis?.isConnected, await connectionsBut(proxy)]).toEqual([false, 0])
  const unreadable = { event: 'redis_file_unreadable', reason: 'ENOENT' }
  expect(opened.lines).toContainEqual(
    expect.objectContaining({ ...unreadable, path: config.REDIS_KEY_FILE }),
  )
})

test('a password file is read again, and where it is missing its last content is used, which is logged', async () => {
  await using folder = await makeFolder()
  const passwordFile = join(folder.path, 'password')
  await writeFile(passwordFile, `${SECRET}\n`)
  await using redis = await startRedis({ password: SECRET })
  await using opened = await open({
    REDIS_ADDRESS: `127.0.0.1:${redis.port}`,
    REDIS_PASSWORD_FILE: passwordFile,
  })
  await until('a connection', () => opened.state.redis?.isConnected === true)
  await rm(passwordFile)
  await redis.restart()
  await opened.untilCount('redis_connected', 2)
  expect(opened.lines).toContainEqual(
    expect.objectContaining({ event: 'redis_file_unreadable', path: passwordFile }),
  )
  await writeFile(passwordFile, 'rotated')
  await redis.restart({ password: 'rotated' })
  await opened.untilCount('redis_connected', 3)
})

const addressFiles = [
  ['REDIS_URL_FILE', (word: string, port: number) => `redis://:${word}@127.0.0.1:${port}`],
  ['REDIS_ADDRESS_FILE', (word: string, port: number) => `127.0.0.1:${port},password=${word}`],
] as const

test.for(addressFiles)('%s is read again, and if invalid leaves the last one', async (row) => {
  const [name, addressWith] = row
  await using folder = await makeFolder()
  const addressFile = join(folder.path, 'address')
  await using redis = await startRedis({ password: 'the-first' })
  await writeFile(addressFile, `${addressWith('the-first', redis.port)}\n`)
  await using opened = await open({ [name]: addressFile })
  await opened.untilCount('redis_connected', 1)
  let examined: Examination | undefined
  /** Waits for the end of the self-test, because it makes the connection a subscriber, which is not killed. */
  async function untilExamined() {
    const before = examined
    await until('its examination', () => opened.state.redis?.examination !== before)
    examined = opened.state.redis?.examination
  }
  await untilExamined()
  await writeFile(addressFile, addressWith(SECRET, redis.port))
  await redis.cli('CONFIG', 'SET', 'requirepass', SECRET)
  await killConnections(redis)
  await opened.untilCount('redis_connected', 2)
  await untilExamined()
  await writeFile(addressFile, `redis://:${SECRET}%@127.0.0.1`)
  await killConnections(redis)
  await opened.untilCount('redis_connected', 3)
  expect(opened.lines.filter(({ event }) => event === 'redis_file_unreadable')).toMatchObject([
    { path: addressFile, reason: expect.stringMatching(/not written as %25$/) as string },
  ])
  expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
})

test('Sentinels that refuse the password are logged once, and its file is read again', async () => {
  await using folder = await makeFolder()
  const passwordFile = join(folder.path, 'password')
  await writeFile(passwordFile, 'the-first')
  await using redis = await startRedis()
  await using sentinel = await startRedis({
    password: 'the-first',
    lines: [`sentinel monitor the-primary 127.0.0.1 ${redis.port} 1`],
    args: ['--sentinel'],
  })
  await using opened = await open({
    REDIS_SENTINEL_ADDRESSES: `127.0.0.1:${sentinel.port}`,
    REDIS_SENTINEL_MASTER: 'the-primary',
    REDIS_SENTINEL_PASSWORD_FILE: passwordFile,
  })
  await opened.untilCount('redis_connected', 1)
  await sentinel.cli('ACL', 'SETUSER', 'default', 'resetpass', `>${SECRET}`)
  await killConnections(sentinel)
  await until('what is told', () => opened.count('sentinels_away') > 0)
  await writeFile(passwordFile, SECRET)
  await until('the Sentinel', () => opened.count('sentinels_back') > 0)
  // Closes connections that can be opened again at once, which is not reported.
  const received = async () =>
    Number(/total_connections_received:(\d+)/.exec(await sentinel.cli('INFO', 'stats'))?.[1])
  const before = await received()
  await killConnections(sentinel)
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
  expect(JSON.stringify(opened.lines)).not.toContain(SECRET)
})
