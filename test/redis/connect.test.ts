import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { RedisConnection } from '../../src/store/connect.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { leastUser } from '../support/least-user.ts'
import { watchOwnLag } from '../support/own-lag.ts'
import { startRedis } from '../support/redis.ts'
import { openConfigured, openConnection, openState, until } from '../support/redis-state.ts'
import { steadyPort } from '../support/steady-port.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const UNAVAILABLE = { code: 'store_unavailable' }
const unavailable = (failure: string) => ({ ...UNAVAILABLE, message: `Redis: ${failure}` })

const echo = (connection: RedisConnection, value: string, timeoutMs = 1000) =>
  connection.run((client) => client.echo(value), timeoutMs)
const timed = async (work: Promise<unknown>) => {
  const sinceMs = performance.now()
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  return { ...outcome, ms: performance.now() - sinceMs }
}
/** The same, and how long this process itself was kept waiting meanwhile. */
const timedWithLag = async (work: Promise<unknown>) => {
  const lag = watchOwnLag()
  const outcome = await timed(work)
  return { ...outcome, lagMs: lag.end() }
}

describe('a connection that comes back', () => {
  test('after its server was killed and started again', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    expect(await echo(connection, 'before')).toBe('before')
    await redis.kill()
    await until('the loss', () => !connection.isConnected)
    await expect(echo(connection, 'away')).rejects.toMatchObject(unavailable('connection'))
    await wait(300)
    expect(opened.disconnected, 'told once, not for every attempt').toEqual(['connection'])
    await redis.restart()
    await until('a connection', () => connection.isConnected)
    expect(await echo(connection, 'after')).toBe('after')
    expect(opened.connected()).toBe(2)
    expect(new Set(opened.failures)).toEqual(new Set(['connection']))
  })

  test('every time', async () => {
    await using redis = await startRedis()
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
    await wait(200)
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
    await using redis = await startRedis()
    await redis.cli('CONFIG', 'SET', 'maxclients', '1')
    await using opened = openConnection(redis)
    await opened.connection.firstAttempt
    expect(opened.disconnected).toEqual(['clients'])
    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    await until('a connection', () => opened.connection.isConnected)
  })

  test('a server that accepts and says nothing is given up within the time for connecting', async () => {
    await using redis = await startRedis()
    await redis.pause()
    await using opened = openConnection(redis, 300)
    const { ms, lagMs } = await timedWithLag(opened.connection.firstAttempt)
    expect(ms).toBeGreaterThanOrEqual(290)
    expect(ms - lagMs).toBeLessThan(500)
    expect(opened.disconnected).toEqual(['deadline'])
    await redis.resume()
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

describe('a server that is frozen', () => {
  test('is given up within the time that a caller has, and answers again when it goes on', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    await redis.pause()
    const given = await Promise.all(
      [100, 250, 500].map((ms) => timedWithLag(echo(connection, 'x', ms))),
    )
    await redis.resume()
    for (const [index, timeoutMs] of [100, 250, 500].entries()) {
      const { ms, lagMs, ...outcome } = given[index] as {
        ms: number
        lagMs: number
        error?: unknown
      }
      expect(outcome.error).toMatchObject(unavailable('deadline'))
      expect(ms).toBeGreaterThanOrEqual(timeoutMs)
      expect(ms - lagMs).toBeLessThan(timeoutMs + 100)
    }
    expect(await echo(connection, 'again')).toBe('again')
    expect(opened.connected(), 'a short freeze costs no connection').toBe(1)
    expect(connection.inFlight).toBe(0)
  })

  test('and its late replies never reach another command', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    for (let round = 0; round < 5; round += 1) {
      await redis.pause()
      const late = Array.from({ length: 50 }, () => timed(echo(connection, randomUUID(), 60)))
      const outcomes = await Promise.all(late)
      expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
      const values = Array.from({ length: 50 }, () => randomUUID())
      const answers = values.map((value) => echo(connection, value, 1500))
      await redis.resume()
      expect(await Promise.all(answers)).toEqual(values)
    }
  })

  test('for longer than two seconds loses its connection, and nothing stays in flight', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis, 300)
    const { connection } = opened
    await connection.firstAttempt
    await redis.pause()
    const pending = Array.from({ length: 20 }, () => timedWithLag(echo(connection, 'x', 5000)))
    const outcomes = await Promise.all(pending)
    for (const { ms, lagMs, ...outcome } of outcomes) {
      expect((outcome as { error: unknown }).error).toMatchObject(UNAVAILABLE)
      expect(ms).toBeGreaterThan(1900)
      expect(ms - lagMs).toBeLessThan(2400)
    }
    expect(opened.disconnected).toEqual(['deadline'])
    expect(connection.inFlight).toBe(0)
    await redis.resume()
    await until('a connection', () => connection.isConnected)
    expect(await echo(connection, 'again')).toBe('again')
  })

  test('costs a bounded amount of memory: beyond the queue commands are refused at once', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = openConnection(proxy)
    const { connection } = opened
    await connection.firstAttempt
    await redis.pause()
    const outcomes = await Promise.all(
      Array.from({ length: 12_000 }, () => timed(echo(connection, 'x'.repeat(100), 400))),
    )
    // Whatever was sent is given up at its deadline, and never before.
    const atOnce = outcomes.filter(({ ms }) => ms < 400)
    expect(outcomes.every((outcome) => 'error' in outcome)).toBe(true)
    expect(atOnce.length).toBeGreaterThanOrEqual(1)
    for (const outcome of atOnce) {
      expect(outcome).not.toMatchObject({ error: unavailable('deadline') })
    }
    await redis.resume()
    await until('an answer', async () => {
      const outcome = await timed(echo(connection, 'y'))
      return 'value' in outcome && outcome.value === 'y' && outcome.ms < 500
    })
  })
})

describe('an answer that is lost with its connection', () => {
  test('is asked for again by the same attempt, which is no replay', async () => {
    await using redis = await startRedis()
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
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using observed = openState(proxy)
    await until('an examination', () => observed.examinations.length > 0)
    const { store, sessionIndex } = observed.state
    const records = { s: Buffer.of(1), t: Buffer.of(2), m: Buffer.of(3) }
    const lose = async (match: string, work: () => Promise<unknown>) => {
      const cut = proxy.cutAfterRequest(match)
      await work()
      await cut
    }
    await lose('{one}', () => store.create('one', records, 60_000))
    expect(await store.read('one', ['s'])).toEqual({ s: records.s })
    await lose('{u1}', () => sessionIndex.add('one', { user: 'u1' }, 60_000))
    expect(await sessionIndex.list('user', 'u1')).toEqual(['one'])
    await lose('{one}', () => store.end('one', 60_000))
    expect(await store.read('one', ['s'])).toEqual({})
    // The connections that were cut, and no command.
    expect(new Set(observed.failures)).toEqual(new Set(['connection']))
  })

  test('is not asked for again by what may be carried out once only', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = openConnection(proxy)
    await opened.connection.firstAttempt
    const cut = proxy.cutAfterRequest('counter')
    const counted = opened.connection.run((client) => client.incr('counter'), 1000)
    await expect(counted).rejects.toMatchObject(unavailable('connection'))
    await cut
    expect(await redis.cli('GET', 'counter')).toBe('1')
  })

  test('is asked for once more, not again and again', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    await using opened = openConnection(proxy)
    await opened.connection.firstAttempt
    const cuts = [1, 2, 3].map(() => proxy.cutAfterRequest('counter'))
    const counted = opened.connection.runTwice((client) => client.incr('counter'), 2000)
    await expect(counted).rejects.toMatchObject(unavailable('connection'))
    await Promise.all(cuts.slice(0, 2))
    await wait(500)
    expect(await redis.cli('GET', 'counter')).toBe('2')
  })

  test('is not asked for after the deadline, whatever comes back then', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    const nowhere = await steadyPort()
    let { port } = proxy
    await using opened = openConnection(() => ({ port }))
    const { connection } = opened
    await connection.firstAttempt
    const cut = proxy.cutAfterRequest('counter')
    const counted = timedWithLag(connection.runTwice((client) => client.incr('counter'), 300))
    port = nowhere
    await cut
    const { ms, lagMs, ...outcome } = await counted
    expect(outcome).toMatchObject({ error: UNAVAILABLE })
    expect(ms - lagMs).toBeLessThan(400)
    port = proxy.port
    await until('a connection', () => connection.isConnected)
    expect(await echo(connection, 'x')).toBe('x')
    expect(await redis.cli('GET', 'counter')).toBe('1')
  })

  test('a silent server is not asked again either', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    await redis.pause()
    const counted = connection.runTwice((client) => client.incr('counter'), 200)
    await expect(counted).rejects.toMatchObject(unavailable('deadline'))
    await redis.resume()
    expect(await echo(connection, 'x')).toBe('x')
    expect(await redis.cli('GET', 'counter')).toBe('1')
  })
})

describe('a full queue', () => {
  test('refuses at once what may be sent twice, too, and sends nothing after the deadline', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    await redis.pause()
    const timeoutMs = 1200
    const filling = Array.from({ length: 10_000 }, () => timed(echo(connection, 'x', timeoutMs)))
    const sentAfterMs: number[] = []
    const refused = Array.from({ length: 100 }, () => {
      const sinceMs = performance.now()
      const write = connection.runTwice((client) => {
        sentAfterMs.push(performance.now() - sinceMs)
        return client.incr('counter')
      }, timeoutMs)
      return timed(write)
    })
    const outcomes = await Promise.all(refused)
    await Promise.all(filling)
    await redis.resume()
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ error: UNAVAILABLE })
      expect(outcome).not.toMatchObject({ error: unavailable('deadline') })
    }
    expect(Math.max(...sentAfterMs), 'the last time that one was sent').toBeLessThan(timeoutMs)
    expect(Math.max(...outcomes.map(({ ms }) => ms))).toBeLessThan(timeoutMs)
  })
})

describe('a replica in the place of the primary', () => {
  test('is told as that at once, every time, and what it refused is not sent after the deadline', async () => {
    await using primary = await startRedis()
    const replicaof = ['--replicaof', '127.0.0.1', `${primary.port}`]
    await using replica = await startRedis({ args: replicaof })
    await using opened = openConnection(replica)
    const { connection } = opened
    await connection.firstAttempt
    for (let round = 0; round < 3; round += 1) {
      let sent = 0
      const write = connection.runTwice((client) => {
        sent += 1
        return client.set('key', 'value')
      }, 1500)
      const { ms, ...outcome } = await timed(write)
      expect(outcome, `round ${round}`).toMatchObject({ error: unavailable('readonly') })
      expect(ms, `round ${round}`).toBeLessThan(1000)
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
    await opened.connection.firstAttempt
    port = primary.port
    const write = opened.connection.runTwice((client) => client.set('key', 'value'), 1500)
    expect(await write).toBe('OK')
    expect(await primary.cli('GET', 'key')).toBe('value')
  })
})

describe('what a failing command tells', () => {
  test.for<
    [
      string,
      string,
      (client: Parameters<Parameters<RedisConnection['run']>[0]>[0]) => Promise<unknown>,
    ]
  >([
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
    await opened.connection.firstAttempt
    const error = await opened.connection.run(command, 1000).catch((cause: unknown) => cause)
    expect(error).toMatchObject(unavailable(failure))
    expect((error as Error).cause).toBeInstanceOf(Error)
    expect(opened.failures).toEqual([failure])
    expect(opened.connection.isConnected).toBe(true)
  })

  test('a full Redis lets sessions be read and ended, and refuses new ones', async () => {
    await using redis = await startRedis()
    await using observed = openState(redis)
    await until('an examination', () => observed.examinations.length > 0)
    const { store } = observed.state
    const records = { s: Buffer.of(1), t: Buffer.of(2), m: Buffer.of(3) }
    await store.create('one', records, 60_000)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await expect(store.create('two', records, 60_000)).rejects.toMatchObject(unavailable('full'))
    expect(await store.read('one', ['s'])).toEqual({ s: records.s })
    await store.end('one', 60_000)
    expect(await store.read('one', ['s'])).toEqual({})
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await store.create('one', records, 60_000)
    expect(await store.read('one', ['s']), 'its tombstone was written').toEqual({})
  })
})

describe('the end of a connection', () => {
  const expectAtOnce = async (closing: Promise<unknown>) => {
    const { ms, lagMs } = await timedWithLag(closing)
    expect(ms - lagMs).toBeLessThan(300)
  }

  test('ends what waits for an answer, and nothing connects any more', async () => {
    await using redis = await startRedis()
    await using proxy = await startTcpProxy(redis.port)
    const { connection, connected, disconnected, failures } = openConnection(proxy)
    await connection.firstAttempt
    await redis.pause()
    const pending = [echo(connection, 'x', 5000), echo(connection, 'y', 5000)].map(timed)
    const { ms, lagMs } = await timedWithLag(connection.close())
    expect(ms - lagMs).toBeLessThan(500)
    for (const outcome of await Promise.all(pending)) {
      expect(outcome).toMatchObject({ error: UNAVAILABLE })
    }
    await redis.resume()
    await until('no connection', () => proxy.connections() === 0)
    await wait(200)
    expect(proxy.connections()).toBe(0)
    expect(connection.isConnected).toBe(false)
    expect(connection.inFlight).toBe(0)
    expect(connected()).toBe(1)
    expect(disconnected).toEqual([])
    expect(failures, 'our own end is no failure of Redis').toEqual([])
    await expect(echo(connection, 'z')).rejects.toMatchObject(UNAVAILABLE)
  })

  test('comes at once while connecting and while waiting to', async () => {
    await using redis = await startRedis()
    await redis.pause()
    const connecting = openConnection(redis, 5000)
    await wait(50)
    await expectAtOnce(connecting.connection.close())
    await connecting.connection.firstAttempt
    const waiting = openConnection({ port: await steadyPort() })
    await wait(400)
    await expectAtOnce(waiting.connection.close())
  })

  test('may come twice', async () => {
    await using redis = await startRedis()
    await using opened = openConnection(redis)
    await opened.connection.close()
    await opened.connection.close()
    expect(opened.connection.isConnected).toBe(false)
  })
})
