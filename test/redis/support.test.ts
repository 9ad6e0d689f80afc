import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { createClient, type RedisClientOptions } from 'redis'
import { beforeEach, describe, expect, test } from 'vitest'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { isFree } from '../../stand-ins/process.ts'
import { type RedisTlsOptions, startRedis } from '../support/redis.ts'
import { redisMissing } from '../support/redis-home.ts'
import { redisTest } from '../support/redis-test.ts'
import { sharedRedis } from '../support/shared-redis.ts'

const missing = await redisMissing()
beforeEach(({ skip }) => skip(missing !== undefined, missing))

const SILENCE_MS = 150

/** Connects to a Redis as its default user, or to a port without a password. */
const open = async (
  { port, url = `redis://127.0.0.1:${port}` }: { readonly port: number; readonly url?: string },
  options: RedisClientOptions = {},
) => {
  const client = createClient({
    url,
    ...options,
    socket: { reconnectStrategy: false, connectTimeout: 2000, ...options.socket },
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  await client.on('error', () => undefined).connect()
  const end = async () => void (client.isOpen && client.destroy())
  return Object.assign(client, { [Symbol.asyncDispose]: end })
}

const ping = async (...args: Parameters<typeof open>) => {
  await using client = await open(...args)
  return await client.ping()
}

/** Returns the state of a promise after a while. */
const outcome = (promise: Promise<unknown>): Promise<string> =>
  Promise.race([
    promise.then(
      (value) => `answered ${String(value)}`,
      () => 'failed',
    ),
    wait(SILENCE_MS, 'silent'),
  ])

describe('a Redis of a test', () => {
  test('is empty, on loopback only, and gone with its folder afterwards', async () => {
    const redis = await startRedis()
    const folder = dirname(redis.clientFiles.ca)
    {
      await using client = await open(redis)
      expect(await client.dbSize()).toBe(0)
    }
    expect(await redis.cli('CONFIG', 'GET', 'bind')).toBe('bind\n127.0.0.1')
    expect(await redis.cli('CONFIG', 'GET', 'save')).toBe('save\n')
    expect(await redis.cli('CONFIG', 'GET', 'maxmemory-policy')).toContain('noeviction')
    expect(existsSync(folder)).toBe(true)
    await redis.stop()
    expect([existsSync(folder), await isFree(redis.port)]).toEqual([false, true])
    await expect(redis.cli('PING')).rejects.toThrow('does not run')
  })

  test('says why it does not start', async () => {
    const started = startRedis({ args: ['--no-such-directive', '1'] })
    await expect(started).rejects.toThrow(/did not start[^]*no-such-directive/)
  })

  test('takes further arguments, which override its defaults', async () => {
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'volatile-ttl'] })
    expect(await redis.cli('CONFIG', 'GET', 'maxmemory-policy')).toContain('volatile-ttl')
  })

  test('accepts its default user with the password only', async () => {
    await using redis = await startRedis({ password: 'p@ss word' })
    expect([await ping(redis), await redis.cli('PING')]).toEqual(['PONG', 'PONG'])
    await expect(ping({ port: redis.port })).rejects.toThrow(/NOAUTH/)
  })

  test('restricts an ACL user to its permissions', async () => {
    const users = ['user app on >secret ~vestibule:* &vestibule:* +@all -@dangerous']
    await using redis = await startRedis({ users: [...users, 'user default off'] })
    await using app = await open(redis, { username: 'app', password: 'secret' })
    expect(await app.set('vestibule:a', '1')).toBe('OK')
    await expect(app.set('other:a', '1')).rejects.toThrow(/NOPERM/)
    await expect(app.publish('other:a', '1')).rejects.toThrow(/NOPERM/)
    await expect(app.flushAll()).rejects.toThrow(/NOPERM/)
    expect(await redis.cli('KEYS', '*')).toBe('vestibule:a')
  })

  test('accepts its administrator when it accepts nobody else', async () => {
    await using redis = await startRedis({ password: 'secret' })
    await redis.cli('CONFIG', 'SET', 'maxclients', '1')
    await expect(ping(redis)).rejects.toThrow()
    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    await redis.cli('ACL', 'SETUSER', 'default', 'off')
    await expect(open(redis)).rejects.toThrow(/WRONGPASS/)
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => undefined)
    await expect.poll(() => redis.cli('PING')).toBe('PONG')
  })

  redisTest('is shared by a prefix, whose keys are removed afterwards', async ({ redis }) => {
    const before = process.env['REDIS_URL']
    process.env['REDIS_URL'] = redis.url
    try {
      await redis.cli('SET', 'of-somebody-else', '1')
      {
        await using shared = await sharedRedis()
        expect(shared.url).toBe(redis.url)
        await redis.cli('MSET', `${shared.keyPrefix}a`, '1', `${shared.keyPrefix}{b}:s`, '1')
      }
      expect(await redis.cli('KEYS', '*')).toBe('of-somebody-else')
    } finally {
      delete process.env['REDIS_URL']
      if (before !== undefined) process.env['REDIS_URL'] = before
    }
  })
})

describe('a Redis with TLS', async () => {
  const authority = await createAuthority()
  const start = async (options: Omit<RedisTlsOptions, 'authority'> = {}) => {
    const redis = await startRedis({ tls: { authority, ...options } })
    const { ca, certificate, key } = redis.clientFiles
    /** Pings it over TLS, with a certificate of the client or without one. */
    const secured = async (isCertified: boolean) => {
      const own = isCertified && { cert: await readFile(certificate), key: await readFile(key) }
      return ping(redis, { socket: { tls: true, ca: await readFile(ca), ...own } })
    }
    return { ...redis, secured, [Symbol.asyncDispose]: redis.stop }
  }

  test('is trusted with its authority only, and speaks nothing else', async () => {
    await using redis = await start()
    expect(redis.url).toBe(`rediss://127.0.0.1:${redis.port}`)
    expect(await redis.secured(false)).toBe('PONG')
    await expect(open(redis)).rejects.toThrow(/certificate/)
    await expect(open({ port: redis.port })).rejects.toThrow()
    expect(await redis.cli('PING')).toBe('PONG')
  })

  test('can require a certificate of the client', async () => {
    await using redis = await start({ requireClientCertificate: true })
    expect(await redis.secured(true)).toBe('PONG')
    await expect(redis.secured(false)).rejects.toThrow()
    expect(await redis.cli('PING')).toBe('PONG')
  })

  test('can show an invalid certificate', async () => {
    await using redis = await start()
    const certificate = await authority.issue(['elsewhere.example.com'])
    await redis.restart({ tls: { authority, certificate } })
    await expect(redis.secured(false)).rejects.toThrow(/altnames/)
    expect(await redis.cli('PING')).toBe('PONG')
  })
})

describe('the faults of a Redis', () => {
  redisTest('paused, it keeps its connections; resumed, it answers late', async ({ redis }) => {
    await using client = await open(redis)
    await redis.pause()
    const late = client.ping()
    expect(await outcome(late)).toBe('silent')
    const socket = connect(redis.port, redis.host)
    await once(socket, 'connect')
    socket.destroy()
    await redis.resume()
    expect(await late).toBe('PONG')
  })

  test('paused, it can be ended', async () => {
    const redis = await startRedis()
    await redis.pause()
    await redis.stop()
    expect(await isFree(redis.port)).toBe(true)
  })

  redisTest('restarted, it is another, empty process at the same port', async ({ redis }) => {
    await redis.cli('SET', 'a', '1')
    const { pid, port } = redis
    await using client = await open(redis)
    const ended = once(client, 'error')
    await redis.restart()
    await ended
    await using next = await open({ port })
    expect(await next.get('a')).toBeNull()
    expect(redis.pid === undefined || redis.pid !== pid).toBe(true)
  })

  redisTest('restarted with its data, it has all of it', async ({ redis }) => {
    await redis.cli('SET', 'a', '1')
    await redis.restart({ keepData: true })
    expect(await redis.cli('GET', 'a')).toBe('1')
    await redis.restart()
    expect(await redis.cli('GET', 'a')).toBe('')
  })

  redisTest(
    'killed, it refuses connections until a restart with any options',
    async ({ redis }) => {
      await redis.kill()
      await expect(open(redis)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await redis.restart({ password: 'changed' })
      await expect(ping({ port: redis.port })).rejects.toThrow(/NOAUTH/)
      expect(await ping(redis)).toBe('PONG')
    },
  )
})

const proxyTest = redisTest.extend('client', async ({ proxy }, { onCleanup }) => {
  const client = await open(proxy)
  onCleanup(client[Symbol.asyncDispose])
  return client
})

describe('a proxy before Redis', () => {
  proxyTest('forwards everything, and counts its clients', async ({ redis, proxy, client }) => {
    const long = 'x'.repeat(300_000)
    await client.set('long', long)
    expect(await client.get('long')).toBe(long)
    expect(proxy.connections()).toBe(1)
    await redis.kill()
    await expect(client.ping()).rejects.toThrow()
    await expect.poll(proxy.connections).toBe(0)
  })

  proxyTest('delays both directions and keeps their order', async ({ proxy, client }) => {
    proxy.delay(60)
    const beforeMs = performance.now()
    const slow = client.incr('n')
    await wait(20)
    // Lets the proxy receive it, however long this process was delayed.
    for (let round = 0; round < 3; round += 1) await turn()
    proxy.delay(0)
    expect(await Promise.all([slow, client.incr('n')])).toEqual([1, 2])
    expect(performance.now() - beforeMs).toBeGreaterThan(55)
    proxy.delay(60)
    const againMs = performance.now()
    await client.ping()
    expect(performance.now() - againMs).toBeGreaterThan(115)
  })

  proxyTest.for([
    ['a text', 'INCR'],
    ['an expression', /incr/i],
  ] as const)(
    'loses the answer to an executed request: %s',
    async ([, match], { redis, proxy, client, expect }) => {
      const cut = proxy.cutAfterRequest(match)
      expect(await client.ping()).toBe('PONG')
      await expect(client.incr('n')).rejects.toThrow()
      await cut
      expect(await redis.cli('GET', 'n')).toBe('1')
      expect(proxy.connections()).toBe(0)
      await using next = await open(proxy)
      expect(await next.incr('n')).toBe(2)
    },
  )

  proxyTest('loses the next answer without a pattern', async ({ redis, proxy, client }) => {
    const cut = proxy.cutAfterRequest()
    await expect(client.set('a', '1')).rejects.toThrow()
    await cut
    expect(await redis.cli('GET', 'a')).toBe('1')
  })

  proxyTest('delivers late what a black hole kept', async ({ redis, proxy, client }) => {
    proxy.blackhole()
    const late = client.incr('n')
    expect(await outcome(late)).toBe('silent')
    expect(await redis.cli('GET', 'n')).toBe('')
    const asked = ping(proxy)
    expect(await outcome(asked)).toBe('silent')
    expect(proxy.connections()).toBe(2)
    proxy.flow()
    expect([await late, await asked]).toEqual([1, 'PONG'])
  })

  proxyTest('hides the end of a client as a black hole', async ({ redis, proxy, client }) => {
    const isConnected = async () =>
      (await redis.cli('CLIENT', 'LIST')).includes(`laddr=127.0.0.1:${redis.port}`)
    proxy.blackhole()
    client.destroy()
    await wait(SILENCE_MS)
    expect(await isConnected()).toBe(true)
    proxy.flow()
    await expect.poll(isConnected).toBe(false)
  })

  proxyTest('refuses until it accepts again', async ({ proxy, client }) => {
    await proxy.refuse()
    await expect(client.ping()).rejects.toThrow()
    await expect(open(proxy)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await proxy.accept()
    expect(await ping(proxy)).toBe('PONG')
  })

  proxyTest('cuts present clients and accepts later ones', async ({ proxy, client }) => {
    const waiting = client.blPop('never', 0)
    expect(await outcome(waiting)).toBe('silent')
    proxy.cut()
    await expect(waiting).rejects.toThrow()
    await using next = await open(proxy)
    expect([await next.ping(), proxy.connections()]).toEqual(['PONG', 1])
  })

  proxyTest('closes with open connections, even as a black hole', async ({ proxy, client }) => {
    expect(client.isReady).toBe(true)
    proxy.blackhole()
    await proxy.close()
    expect([proxy.connections(), await isFree(proxy.port)]).toEqual([0, true])
  })
})
