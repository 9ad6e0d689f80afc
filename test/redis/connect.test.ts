import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Command } from '../../src/redis/client.ts'
import type { RedisConnection } from '../../src/redis/connection.ts'
import type { RedisFailure } from '../../src/redis/failure.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { leastUser } from '../support/least-user.ts'
import { startRedis } from '../support/redis.ts'
import {
  echo,
  openConnected,
  openConnection,
  openExamined,
  RECORDS,
  tryConnection,
  unavailable,
  until,
} from '../support/redis-state.ts'
import { redisTest } from '../support/redis-test.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const UNAVAILABLE = { code: 'store_unavailable' }
const freshRedis = reuseRedis()
const freshTest = redisTest.extend('redis', () => freshRedis())

const replicaTest = redisTest.extend('replica', async ({ redis }, { onCleanup }) => {
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${redis.port}`] })
  onCleanup(replica.stop)
  return replica
})

const untilConnected = (connection: RedisConnection) =>
  until('a connection', () => connection.isConnected)
const increment = (connection: RedisConnection, timeoutMs: number) =>
  connection.runRetryable('counter', (client) => client.incr('counter'), timeoutMs)

describe('a connection reconnects', () => {
  redisTest('after its server was killed and started again', async ({ redis }) => {
    await using opened = await openConnected(redis)
    const { connection, failures } = opened
    expect(await echo(opened, 'before')).toBe('before')
    await redis.kill()
    await until('the loss', () => !connection.isConnected)
    await expect(echo(opened, 'away')).rejects.toMatchObject(unavailable('connection'))
    const before = failures.length
    await until('two attempts', () => failures.length >= before + 2)
    expect(opened.disconnected, 'reported once, not for every attempt').toEqual(['connection'])
    await redis.restart()
    await untilConnected(connection)
    expect([await echo(opened, 'after'), opened.connected()]).toEqual(['after', 2])
    expect(new Set(failures)).toEqual(new Set(['connection']))
  })

  test('with another password after a wrong one', async () => {
    await using redis = await startRedis({ password: 'right' })
    let credentials: { password?: string } = {}
    await using opened = await tryConnection(() => ({ port: redis.port, ...credentials }))
    expect(opened.disconnected).toEqual(['auth'])
    credentials = { password: 'wrong' }
    const before = opened.failures.length
    await until('two attempts', () => opened.failures.length >= before + 2)
    expect(opened.connection.isConnected).toBe(false)
    credentials = { password: 'right' }
    await untilConnected(opened.connection)
  })

  test.for([
    ['a wrong password', 'auth', { username: 'app', password: 'wrong' }],
    ['an unknown user', 'auth', { username: 'nobody', password: 'secret' }],
    ['a denied database', 'permission', { username: 'app', password: 'secret', database: 3 }],
    ['an unknown database', 'database', { database: 99 }],
  ] as const)('not with %s, whose failure is %s', async ([, failure, credentials]) => {
    await using redis = await startRedis({ users: [leastUser('app', 'secret')] })
    await using opened = await tryConnection({ port: redis.port, ...credentials })
    expect([opened.connection.isConnected, opened.disconnected]).toEqual([false, [failure]])
  })

  freshTest('when there are no longer too many clients', async ({ redis }) => {
    await redis.cli('CONFIG', 'SET', 'maxclients', '1')
    await using opened = await tryConnection(redis)
    expect(opened.disconnected).toEqual(['clients'])
    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    await untilConnected(opened.connection)
  })
})

describe('a reply that is lost with its connection', () => {
  freshTest('is asked for again, which is no replay', async ({ redis, proxy }) => {
    await using observed = await openExamined(proxy)
    const { oneTimeKeys } = observed.state
    for (let round = 0; round < 5; round += 1) {
      const key = randomUUID()
      const consume = (attemptId: string) =>
        oneTimeKeys.consume({ kind: 'login', key, attemptId }, 60_000)
      const cut = proxy.cutAfterRequest(key)
      expect(await consume('mine')).toBe(true)
      await cut
      expect(await redis.cli('GET', `vestibule:j:login:{${key}}`)).toBe('mine')
      expect(await consume('other')).toBe(false)
    }
    expect(new Set(observed.failures), 'of connections only').toEqual(new Set(['connection']))
  })

  freshTest('costs neither a session nor its end', async ({ proxy }) => {
    await using observed = await openExamined(proxy)
    const { store, sessionsByOwner } = observed.state
    async function loseReply(match: string, work: () => Promise<unknown>) {
      const cut = proxy.cutAfterRequest(match)
      await work()
      await cut
    }
    await loseReply('{one}', () => store.create('one', RECORDS, 60_000))
    expect(await store.read('one', ['identity'])).toEqual({ identity: RECORDS.identity })
    await loseReply('{u1}', () => sessionsByOwner.add('one', { user: 'u1' }, 60_000))
    expect(await sessionsByOwner.list('user', 'u1')).toEqual(['one'])
    await loseReply('{one}', () => store.end('one', 60_000, 'operator'))
    expect(await store.read('one', ['identity'])).toEqual({})
    expect(new Set(observed.failures), 'of connections only').toEqual(new Set(['connection']))
  })

  freshTest('of run is not asked for again', async ({ redis, proxy }) => {
    await using opened = await openConnected(proxy)
    const cut = proxy.cutAfterRequest('counter')
    const counted = opened.connection.run('counter', (client) => client.incr('counter'), 1000)
    await expect(counted).rejects.toMatchObject(unavailable('connection'))
    await cut
    expect(await redis.cli('GET', 'counter')).toBe('1')
  })

  freshTest('of runRetryable is asked for once more only', async ({ redis, proxy }) => {
    await using opened = await openConnected(proxy)
    const cuts = [1, 2, 3].map(() => proxy.cutAfterRequest('counter'))
    const counted = increment(opened.connection, 15_000)
    await expect(counted).rejects.toMatchObject(unavailable('connection'))
    await Promise.all(cuts.slice(0, 2))
    await untilConnected(opened.connection)
    expect([await echo(opened, 'x'), await redis.cli('GET', 'counter')]).toEqual(['x', '2'])
  })

  freshTest('is not asked for after the deadline', async ({ redis, proxy }) => {
    const nowhere = await steadyPort()
    let { port } = proxy
    await using opened = await openConnected(() => ({ port }))
    const cut = proxy.cutAfterRequest('counter')
    const counted = increment(opened.connection, 300)
    port = nowhere
    await expect(counted).rejects.toMatchObject(UNAVAILABLE)
    await cut
    port = proxy.port
    await untilConnected(opened.connection)
    expect([await echo(opened, 'x'), await redis.cli('GET', 'counter')]).toEqual(['x', '1'])
  })
})

describe('a replica in the place of the primary', () => {
  replicaTest('is reported each time, and sent commands twice at most', async ({ replica }) => {
    await using opened = await openConnected(replica)
    for (let round = 0; round < 3; round += 1) {
      let sent = 0
      const set: Command<unknown> = (client) => (sent++, client.set('key', 'value'))
      const write = opened.connection.runRetryable('key', set, 15_000)
      await expect(write, `round ${round}`).rejects.toMatchObject(unavailable('readonly'))
      expect(sent, `round ${round}`).toBeLessThanOrEqual(2)
      await untilConnected(opened.connection)
    }
  })

  replicaTest('is left in the same call for the primary', async ({ redis, replica }) => {
    let { port } = replica
    await using opened = await openConnected(() => ({ port }))
    port = redis.port
    const set: Command<unknown> = (client) => client.set('key', 'value')
    expect(await opened.connection.runRetryable('key', set, 15_000)).toBe('OK')
    expect(await redis.cli('GET', 'key')).toBe('value')
  })
})

describe('a failing command', () => {
  test.for<[RedisFailure, string, Command<unknown>]>([
    ['permission', 'a denied command', (client) => client.incr('vestibule:x')],
    ['permission', 'a denied key', (client) => client.get('other')],
    ['data', 'a value of another kind', (client) => client.get('vestibule:list')],
    ['full', 'a write without memory', (client) => client.set('vestibule:x', '1')],
    ['other', 'an invalid script', (client) => client.eval('no script', { keys: [] })],
  ])('has the failure %s for %s', async ([failure, , command]) => {
    await using redis = await startRedis({ users: [leastUser('app', 'secret')] })
    await redis.cli('LPUSH', 'vestibule:list', 'x')
    if (failure === 'full') await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    const user = { port: redis.port, username: 'app', password: 'secret' }
    await using opened = await openConnected(user)
    await expect(opened.connection.run(undefined, command, 1000)).rejects.toMatchObject({
      ...unavailable(failure),
      cause: expect.any(Error) as Error,
    })
    expect([opened.failures, opened.connection.isConnected]).toEqual([[failure], true])
  })

  freshTest('for want of memory leaves sessions readable and endable', async ({ redis }) => {
    await using observed = await openExamined(redis)
    const { store } = observed.state
    await store.create('one', RECORDS, 60_000)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await expect(store.create('two', RECORDS, 60_000)).rejects.toMatchObject(unavailable('full'))
    expect(await store.read('one', ['identity'])).toEqual({ identity: RECORDS.identity })
    await store.end('one', 60_000, 'operator')
    expect(await store.read('one', ['identity'])).toEqual({})
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await store.create('one', RECORDS, 60_000)
    expect(await store.read('one', ['identity']), 'its tombstone was written').toEqual({})
  })
})

describe('closing a connection', () => {
  redisTest('rejects pending commands and connects no more', async ({ redis, proxy }) => {
    const opened = await openConnected(proxy)
    const { connection, connected, disconnected, failures } = opened
    await redis.pause()
    const ended = Promise.allSettled([echo(opened, 'x', 60_000), echo(opened, 'y', 60_000)])
    await connection.close()
    const rejected = { status: 'rejected', reason: UNAVAILABLE }
    expect(await ended).toMatchObject([rejected, rejected])
    await redis.resume()
    await until('no connection', () => proxy.connections() === 0)
    expect(connection).toMatchObject({ isConnected: false, inFlight: 0 })
    expect(connected()).toBe(1)
    expect([disconnected, failures]).toEqual([[], []])
    await expect(echo(opened, 'z')).rejects.toMatchObject(UNAVAILABLE)
    await using last = await openConnected(proxy)
    expect([last.connection.isConnected, proxy.connections()]).toEqual([true, 1])
  })

  redisTest('does not wait for an attempt or a back-off', async ({ redis, proxy }) => {
    await redis.pause()
    // Exceeds the time limit of the test.
    const connecting = openConnection(proxy, 600_000)
    await until('an attempt', () => proxy.connections() > 0)
    await connecting.connection.close()
    await connecting.connection.firstAttempt
    const waiting = openConnection({ port: await steadyPort() })
    await until('some attempts', () => waiting.failures.length > 3)
    await waiting.connection.close()
    expect(waiting.connection.isExpected).toBe(false)
  })

  test('is possible twice', async () => {
    await using opened = openConnection(await freshRedis())
    await opened.connection.close()
    await opened.connection.close()
    expect(opened.connection.isConnected).toBe(false)
  })
})
