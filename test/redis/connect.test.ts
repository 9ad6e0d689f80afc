import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { Command } from '../../src/redis/client.ts'
import type { RedisConnection } from '../../src/redis/connection.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { startTcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { leastUser } from '../support/least-user.ts'
import { startRedis } from '../support/redis.ts'
import {
  openConfigured,
  openConnection,
  openState,
  until,
  untilConnected,
} from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const UNAVAILABLE = { code: 'store_unavailable' }
const unavailable = (failure: string) => ({ ...UNAVAILABLE, message: `Redis: ${failure}` })

const echo = (connection: RedisConnection, value: string, timeoutMs = 1000) =>
  connection.run(undefined, (client) => client.echo(value), timeoutMs)
const freshRedis = reuseRedis()

describe('a connection that comes back', () => {
  test('after its server was killed and started again', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await untilConnected(opened)
    expect(await echo(connection, 'before')).toBe('before')
    await redis.kill()
    await until('the loss', () => !connection.isConnected)
    await expect(echo(connection, 'away')).rejects.toMatchObject(unavailable('connection'))
    const attempts = () => opened.failures.length
    const before = attempts()
    await until('two attempts', () => attempts() >= before + 2)
    expect(opened.disconnected, 'told once, not for every attempt').toEqual(['connection'])
    await redis.restart()
    await until('a connection', () => connection.isConnected)
    expect(await echo(connection, 'after')).toBe('after')
    expect(opened.connected()).toBe(2)
    expect(new Set(opened.failures)).toEqual(new Set(['connection']))
  })

  test('every time', async () => {
    const redis = await freshRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = openConnection(proxy)
    for (let round = 1; round <= 5; round += 1) {
      await until('a connection', () => opened.connected() === round)
      expect(await echo(opened.connection, `${round}`)).toBe(`${round}`)
      proxy.cut()
      await until('the loss', () => opened.disconnected.length === round)
    }
  })

  test('attaches when a server appears that was not there at the start', async () => {
    const port = await steadyPort()
    await using opened = openConnection({ port })
    const { connection } = opened
    await connection.firstAttempt
    expect(connection.isConnected).toBe(false)
    expect(opened.disconnected).toEqual(['connection'])
    await expect(echo(connection, 'x')).rejects.toMatchObject(unavailable('connection'))
    await using redis = await startRedis({ port })
    await until('a connection', () => connection.isConnected)
    expect(await echo(connection, `${redis.port}`)).toBe(`${port}`)
  })

  test('tells why it is not let in, and is let in when that has changed', async () => {
    await using redis = await startRedis({ password: 'right' })
    let password: string | undefined
    await using opened = openConnection(() => ({
      port: redis.port,
      ...(password !== undefined && { password }),
    }))
    await opened.connection.firstAttempt
    expect(opened.disconnected).toEqual(['auth'])
    password = 'wrong'
    const before = opened.failures.length
    await until('two attempts', () => opened.failures.length >= before + 2)
    expect(opened.connection.isConnected).toBe(false)
    password = 'right'
    await until('a connection', () => opened.connection.isConnected)
  })

  test.for([
    ['a wrong password', 'auth', { username: 'app', password: 'wrong' }],
    ['a user that is not there', 'auth', { username: 'nobody', password: 'secret' }],
    [
      'a database that the user may not choose',
      'permission',
      { username: 'app', password: 'secret', database: 3 },
    ],
    ['a database that is not there', 'other', { database: 99 }],
  ] as const)('%s is told as %s', async ([, failure, credentials], { expect }) => {
    await using redis = await startRedis({ users: [leastUser('app', 'secret')] })
    await using opened = openConnection({ port: redis.port, ...credentials })
    await opened.connection.firstAttempt
    expect(opened.connection.isConnected).toBe(false)
    expect(opened.disconnected).toEqual([failure])
  })

  test('too many clients are told as that', async () => {
    const redis = await freshRedis()
    await redis.cli('CONFIG', 'SET', 'maxclients', '1')
    await using opened = openConnection(redis)
    await opened.connection.firstAttempt
    expect(opened.disconnected).toEqual(['clients'])
    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    await until('a connection', () => opened.connection.isConnected)
  })

  test('a password file that was rotated is read again for the next connection', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vestibule-rotation-'))
    const passwordFile = join(folder, 'password')
    await writeFile(passwordFile, 'first\n')
    await using redis = await startRedis({ password: 'first' })
    const config = loadConfig({
      PROTECTED_HOSTS: 'app.example.com',
      ALLOW_ANY_USER: 'true',
      OIDC_ISSUER_URL: 'https://id.example.com',
      OIDC_CLIENT_ID: 'vestibule',
      OIDC_CLIENT_SECRET: 'secret',
      SESSION_ENCRYPTION_KEY: '0123456789abcdef'.repeat(4),
      REDIS_ENABLED: 'true',
      REDIS_ADDRESS: `127.0.0.1:${redis.port}`,
      REDIS_PASSWORD_FILE: passwordFile,
    })
    const state = openConfigured(config, createLog('silent'))
    await until('a connection', () => state.redis?.isConnected === true)
    await writeFile(passwordFile, 'second\n')
    await redis.restart({ password: 'second' })
    await until(
      'the next connection',
      async () => (await state.redis?.measureLatency()) !== undefined,
    )
    // A file that is away for a moment leaves the last good password.
    await rm(passwordFile)
    await redis.restart()
    await until(
      'one more connection',
      async () => (await state.redis?.measureLatency()) !== undefined,
    )
    await state.close()
    await rm(folder, { recursive: true })
  })
})

describe('an answer that is lost with its connection', () => {
  test('is asked for again by the same attempt, which is no replay', async () => {
    const redis = await freshRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using observed = openState(proxy)
    await until('an examination', () => observed.examinations.length > 0)
    const { oneTimeKeys } = observed.state
    for (let round = 0; round < 5; round += 1) {
      const key = randomUUID()
      const cut = proxy.cutAfterRequest(key)
      expect(await oneTimeKeys.consume('login', key, 'mine', 60_000)).toBe(true)
      await cut
      expect(await redis.cli('GET', `vestibule:j:login:{${key}}`)).toBe('mine')
      expect(await oneTimeKeys.consume('login', key, 'other', 60_000)).toBe(false)
    }
    // The connections that were cut, and no command.
    expect(new Set(observed.failures)).toEqual(new Set(['connection']))
  })

  test('costs a session or its end nothing either', async () => {
    const redis = await freshRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using observed = openState(proxy)
    await until('an examination', () => observed.examinations.length > 0)
    const { store, sessionIndex } = observed.state
    const records = { identity: Buffer.of(1), tokens: Buffer.of(2), metadata: Buffer.of(3) }
    const lose = async (match: string, work: () => Promise<unknown>) => {
      const cut = proxy.cutAfterRequest(match)
      await work()
      await cut
    }
    await lose('{one}', () => store.create('one', records, 60_000))
    expect(await store.read('one', ['identity'])).toEqual({ identity: records.identity })
    await lose('{u1}', () => sessionIndex.add('one', { user: 'u1' }, 60_000))
    expect(await sessionIndex.list('user', 'u1')).toEqual(['one'])
    await lose('{one}', () => store.end('one', 60_000))
    expect(await store.read('one', ['identity'])).toEqual({})
    // The connections that were cut, and no command.
    expect(new Set(observed.failures)).toEqual(new Set(['connection']))
  })

  test('is not asked for again by what may be carried out once only', async () => {
    const redis = await freshRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = openConnection(proxy)
    await untilConnected(opened)
    const cut = proxy.cutAfterRequest('counter')
    const counted = opened.connection.run('counter', (client) => client.incr('counter'), 1000)
    await expect(counted).rejects.toMatchObject(unavailable('connection'))
    await cut
    expect(await redis.cli('GET', 'counter')).toBe('1')
  })

  test('is asked for once more, not again and again', async () => {
    const redis = await freshRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = openConnection(proxy)
    const { connection } = opened
    await untilConnected(opened)
    const cuts = [1, 2, 3].map(() => proxy.cutAfterRequest('counter'))
    const counted = connection.runRetryable('counter', (client) => client.incr('counter'), 15_000)
    await expect(counted).rejects.toMatchObject(unavailable('connection'))
    await Promise.all(cuts.slice(0, 2))
    await until('the next connection', () => connection.isConnected)
    expect(await echo(connection, 'x')).toBe('x')
    expect(await redis.cli('GET', 'counter')).toBe('2')
  })

  test('is not asked for after the deadline, whatever comes back then', async () => {
    const redis = await freshRedis()
    await using proxy = await startTcpProxy(redis.port)
    const nowhere = await steadyPort()
    let { port } = proxy
    await using opened = openConnection(() => ({ port }))
    const { connection } = opened
    await untilConnected(opened)
    const cut = proxy.cutAfterRequest('counter')
    const counted = connection.runRetryable('counter', (client) => client.incr('counter'), 300)
    port = nowhere
    await expect(counted).rejects.toMatchObject(UNAVAILABLE)
    await cut
    port = proxy.port
    await until('a connection', () => connection.isConnected)
    expect(await echo(connection, 'x')).toBe('x')
    expect(await redis.cli('GET', 'counter')).toBe('1')
  })
})

describe('a replica in the place of the primary', () => {
  test('is told as that every time, and what it refused is not sent after the deadline', async () => {
    await using primary = await startRedis()
    const replicaof = ['--replicaof', '127.0.0.1', `${primary.port}`]
    await using replica = await startRedis({ args: replicaof })
    await using opened = openConnection(replica)
    const { connection } = opened
    await untilConnected(opened)
    for (let round = 0; round < 3; round += 1) {
      let sent = 0
      const write = connection.runRetryable(
        'key',
        (client) => {
          sent += 1
          return client.set('key', 'value')
        },
        15_000,
      )
      await expect(write, `round ${round}`).rejects.toMatchObject(unavailable('readonly'))
      expect(sent, `round ${round}`).toBeLessThanOrEqual(2)
      await until('a connection', () => connection.isConnected)
    }
  })

  test('is left when the name leads to the primary again, within the same call', async () => {
    await using primary = await startRedis()
    const replicaof = ['--replicaof', '127.0.0.1', `${primary.port}`]
    await using replica = await startRedis({ args: replicaof })
    let port = replica.port
    await using opened = openConnection(() => ({ port }))
    await untilConnected(opened)
    port = primary.port
    const write = opened.connection.runRetryable(
      'key',
      (client) => client.set('key', 'value'),
      15_000,
    )
    expect(await write).toBe('OK')
    expect(await primary.cli('GET', 'key')).toBe('value')
  })
})

describe('what a failing command tells', () => {
  test.for<[string, string, Command<unknown>]>([
    ['permission', 'a command that is not allowed', (client) => client.incr('vestibule:x')],
    ['permission', 'a key that is not allowed', (client) => client.get('other')],
    ['data', 'a value of another kind', (client) => client.get('vestibule:list')],
    ['full', 'a write without memory', (client) => client.set('vestibule:x', '1')],
    ['other', 'an unknown script', (client) => client.eval('no script', { keys: [] })],
  ])('%s: %s', async ([failure, , command], { expect }) => {
    await using redis = await startRedis({ users: [leastUser('app', 'secret')] })
    await redis.cli('LPUSH', 'vestibule:list', 'x')
    if (failure === 'full') await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await using opened = openConnection({ port: redis.port, username: 'app', password: 'secret' })
    await untilConnected(opened)
    const error = await opened.connection
      .run(undefined, command, 1000)
      .catch((cause: unknown) => cause)
    expect(error).toMatchObject(unavailable(failure))
    expect((error as Error).cause).toBeInstanceOf(Error)
    expect(opened.failures).toEqual([failure])
    expect(opened.connection.isConnected).toBe(true)
  })

  test('a full Redis lets sessions be read and ended, and refuses new ones', async () => {
    const redis = await freshRedis()
    await using observed = openState(redis)
    await until('an examination', () => observed.examinations.length > 0)
    const { store } = observed.state
    const records = { identity: Buffer.of(1), tokens: Buffer.of(2), metadata: Buffer.of(3) }
    await store.create('one', records, 60_000)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await expect(store.create('two', records, 60_000)).rejects.toMatchObject(unavailable('full'))
    expect(await store.read('one', ['identity'])).toEqual({ identity: records.identity })
    await store.end('one', 60_000)
    expect(await store.read('one', ['identity'])).toEqual({})
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await store.create('one', records, 60_000)
    expect(await store.read('one', ['identity']), 'its tombstone was written').toEqual({})
  })
})

describe('the end of a connection', () => {
  test('ends what waits for an answer, and nothing connects any more', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    const { connection, connected, disconnected, failures } = openConnection(proxy)
    await until('a connection', () => connection.isConnected)
    await redis.pause()
    const pending = [echo(connection, 'x', 60_000), echo(connection, 'y', 60_000)]
    const ended = Promise.allSettled(pending)
    await connection.close()
    for (const outcome of await ended) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: UNAVAILABLE })
    }
    await redis.resume()
    await until('no connection', () => proxy.connections() === 0)
    expect(connection.isConnected).toBe(false)
    expect(connection.inFlight).toBe(0)
    expect(connected()).toBe(1)
    expect(disconnected).toEqual([])
    expect(failures, 'our own end is no failure of Redis').toEqual([])
    await expect(echo(connection, 'z')).rejects.toMatchObject(UNAVAILABLE)
    // Whoever comes now is the next one to be let in, and the first.
    await using last = openConnection(proxy)
    await untilConnected(last)
    expect(proxy.connections()).toBe(1)
  })

  test('comes while connecting and while waiting to, and does not wait for either', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await redis.pause()
    // Far longer than the test has.
    const connecting = openConnection(proxy, 600_000)
    await until('an attempt', () => proxy.connections() > 0)
    await connecting.connection.close()
    await connecting.connection.firstAttempt
    const waiting = openConnection({ port: await steadyPort() })
    await until('some attempts', () => waiting.failures.length > 3)
    await waiting.connection.close()
    expect(waiting.connection.isExpected).toBe(false)
  })

  test('may come twice', async () => {
    const redis = await freshRedis()
    await using opened = openConnection(redis)
    await opened.connection.close()
    await opened.connection.close()
    expect(opened.connection.isConnected).toBe(false)
  })
})
