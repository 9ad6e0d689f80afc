import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { createClient, type RedisClientOptions } from 'redis'
import { beforeEach, describe, expect, test } from 'vitest'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { startTcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { isFree } from '../../stand-ins/process.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { redisMissing } from '../support/redis-home.ts'
import { sharedRedis } from '../support/shared-redis.ts'

const missing = await redisMissing()
beforeEach((ctx) => ctx.skip(missing !== undefined, missing))

const SILENCE_MS = 150

const openClient = async (options: RedisClientOptions) => {
  const client = createClient({
    ...options,
    socket: { reconnectStrategy: false, connectTimeout: 2000, ...options.socket },
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  client.on('error', () => undefined)
  await client.connect()
  return Object.assign(client, {
    [Symbol.asyncDispose]: async () => {
      if (client.isOpen) client.destroy()
    },
  })
}

const at = (port: number) => openClient({ url: `redis://127.0.0.1:${port}` })

/** What a promise has come to by now: silence is an answer too. */
const outcome = (promise: Promise<unknown>): Promise<string> =>
  Promise.race([
    promise.then(
      (value) => `answered ${String(value)}`,
      () => 'failed',
    ),
    wait(SILENCE_MS, 'silent'),
  ])

describe('a Redis of a test', () => {
  test('is empty, on loopback alone, and gone with its folder afterwards', async () => {
    const redis = await startRedis()
    const folder = dirname(redis.clientFiles.ca)
    {
      await using client = await openClient({ url: redis.url })
      expect(await client.dbSize()).toBe(0)
    }
    expect(await redis.cli('CONFIG', 'GET', 'bind')).toBe('bind\n127.0.0.1')
    expect(await redis.cli('CONFIG', 'GET', 'save')).toBe('save\n')
    expect(await redis.cli('CONFIG', 'GET', 'maxmemory-policy')).toContain('noeviction')
    expect(existsSync(folder)).toBe(true)
    await redis.stop()
    expect(existsSync(folder)).toBe(false)
    expect(await isFree(redis.port)).toBe(true)
    await expect(redis.cli('PING')).rejects.toThrow('does not run')
  })

  test('says why it does not start', async () => {
    await expect(startRedis({ args: ['--no-such-directive', '1'] })).rejects.toThrow(
      /did not start[^]*no-such-directive/,
    )
  })

  test('takes further arguments, also against its defaults', async () => {
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'volatile-ttl'] })
    expect(await redis.cli('CONFIG', 'GET', 'maxmemory-policy')).toContain('volatile-ttl')
  })

  test('lets its default user in with the password alone', async () => {
    await using redis = await startRedis({ password: 'p@ss word' })
    await using client = await openClient({ url: redis.url })
    expect(await client.ping()).toBe('PONG')
    expect(await redis.cli('PING')).toBe('PONG')
    const stranger = at(redis.port).then((opened) => opened.ping())
    await expect(stranger).rejects.toThrow(/NOAUTH/)
  })

  test('lets an ACL user do what it may, and no more', async () => {
    const users = ['user app on >secret ~vestibule:* &vestibule:* +@all -@dangerous']
    await using redis = await startRedis({ users: [...users, 'user default off'] })
    await using app = await openClient({ url: redis.url, username: 'app', password: 'secret' })
    expect(await app.set('vestibule:a', '1')).toBe('OK')
    await expect(app.set('other:a', '1')).rejects.toThrow(/NOPERM/)
    await expect(app.publish('other:a', '1')).rejects.toThrow(/NOPERM/)
    await expect(app.flushAll()).rejects.toThrow(/NOPERM/)
    expect(await redis.cli('KEYS', '*')).toBe('vestibule:a')
  })

  test('its administrator is let in when nobody else is', async () => {
    await using redis = await startRedis({ password: 'secret' })
    await redis.cli('CONFIG', 'SET', 'maxclients', '1')
    const next = openClient({ url: redis.url }).then((opened) => opened.ping())
    await expect(next).rejects.toThrow()
    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    await redis.cli('ACL', 'SETUSER', 'default', 'off')
    await expect(openClient({ url: redis.url })).rejects.toThrow(/WRONGPASS/)
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => undefined)
    await expect.poll(() => redis.cli('PING')).toBe('PONG')
  })
})

const authority = await createAuthority()

describe('a Redis with TLS', () => {
  const secured = async (redis: RunningRedis, withCertificate: boolean) => {
    const { ca, certificate, key } = redis.clientFiles
    const own = withCertificate && { cert: await readFile(certificate), key: await readFile(key) }
    const socket = { tls: true, ca: await readFile(ca), ...own } as const
    await using client = await openClient({ url: redis.url, socket })
    return await client.ping()
  }

  test('is trusted with its authority alone, and speaks nothing else', async () => {
    await using redis = await startRedis({ tls: { authority } })
    expect(redis.url).toBe(`rediss://127.0.0.1:${redis.port}`)
    expect(await secured(redis, false)).toBe('PONG')
    await expect(openClient({ url: redis.url })).rejects.toThrow(/certificate/)
    await expect(at(redis.port)).rejects.toThrow()
    expect(await redis.cli('PING')).toBe('PONG')
  })

  test('can ask for a certificate of the client', async () => {
    await using redis = await startRedis({ tls: { authority, requireClientCertificate: true } })
    expect(await secured(redis, true)).toBe('PONG')
    await expect(secured(redis, false)).rejects.toThrow()
    expect(await redis.cli('PING')).toBe('PONG')
  })

  test('can show a certificate that is not good', async () => {
    await using redis = await startRedis({ tls: { authority } })
    const certificate = await authority.issue(['elsewhere.example.com'])
    await redis.restart({ tls: { authority, certificate } })
    await expect(secured(redis, false)).rejects.toThrow(/altnames/)
    expect(await redis.cli('PING')).toBe('PONG')
  })
})

describe('what can happen to a Redis', () => {
  test('paused, it says nothing and keeps its connections; resumed, it answers late', async () => {
    await using redis = await startRedis()
    await using client = await openClient({ url: redis.url })
    await redis.pause()
    const late = client.ping()
    expect(await outcome(late)).toBe('silent')
    const socket = connect(redis.port, redis.host)
    await once(socket, 'connect')
    socket.destroy()
    await redis.resume()
    expect(await late).toBe('PONG')
  })

  test('a paused one can be ended', async () => {
    const redis = await startRedis()
    await redis.pause()
    await redis.stop()
    expect(await isFree(redis.port)).toBe(true)
  })

  test('restarted, it is another process at the same port that has forgotten everything', async () => {
    await using redis = await startRedis()
    await redis.cli('SET', 'a', '1')
    const { pid, port } = redis
    await using client = await openClient({ url: redis.url })
    const ended = once(client, 'error')
    await redis.restart()
    await ended
    await using next = await at(port)
    expect(await next.get('a')).toBeNull()
    expect(redis.pid === undefined || redis.pid !== pid).toBe(true)
  })

  test('restarted with its data, it has forgotten nothing', async () => {
    await using redis = await startRedis()
    await redis.cli('SET', 'a', '1')
    await redis.restart({ keepData: true })
    expect(await redis.cli('GET', 'a')).toBe('1')
    await redis.restart()
    expect(await redis.cli('GET', 'a')).toBe('')
  })

  test('killed, it refuses connections until it is restarted, with other options if need be', async () => {
    await using redis = await startRedis()
    await redis.kill()
    await expect(at(redis.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await redis.restart({ password: 'changed' })
    await expect(at(redis.port).then((opened) => opened.ping())).rejects.toThrow(/NOAUTH/)
    await using client = await openClient({ url: redis.url })
    expect(await client.ping()).toBe('PONG')
  })
})

describe('some Redis', () => {
  test('is shared by a prefix, and what begins with it is removed afterwards', async () => {
    await using redis = await startRedis()
    const before = process.env['REDIS_URL']
    process.env['REDIS_URL'] = redis.url
    try {
      await redis.cli('SET', 'of-somebody-else', '1')
      {
        await using shared = await sharedRedis()
        expect(shared.url).toBe(redis.url)
        await redis.cli('SET', `${shared.keyPrefix}a`, '1')
        await redis.cli('SET', `${shared.keyPrefix}{b}:s`, '1')
      }
      expect(await redis.cli('KEYS', '*')).toBe('of-somebody-else')
    } finally {
      delete process.env['REDIS_URL']
      if (before !== undefined) process.env['REDIS_URL'] = before
    }
  })
})

describe('a proxy before Redis', () => {
  const throughProxy = async () => {
    const redis = await startRedis()
    const proxy = await startTcpProxy(redis.port)
    const client = await at(proxy.port)
    return {
      redis,
      proxy,
      client,
      [Symbol.asyncDispose]: async () => {
        await client[Symbol.asyncDispose]()
        await proxy.close()
        await redis.stop()
      },
    }
  }

  test('passes on whatever is said, and counts who says it', async () => {
    await using made = await throughProxy()
    const { client, proxy, redis } = made
    const long = 'x'.repeat(300_000)
    await client.set('long', long)
    expect(await client.get('long')).toBe(long)
    expect(proxy.connections()).toBe(1)
    await redis.kill()
    await expect(client.ping()).rejects.toThrow()
    await expect.poll(proxy.connections).toBe(0)
  })

  test('delays both directions and keeps their order', async () => {
    await using made = await throughProxy()
    const { client, proxy } = made
    proxy.delay(60)
    const beforeMs = performance.now()
    const slow = client.incr('n')
    await wait(20)
    // Whatever this process was kept waiting for: the proxy has got it.
    for (let round = 0; round < 3; round += 1) await turn()
    proxy.delay(0)
    expect(await Promise.all([slow, client.incr('n')])).toEqual([1, 2])
    expect(performance.now() - beforeMs).toBeGreaterThan(55)
    proxy.delay(60)
    const againMs = performance.now()
    await client.ping()
    expect(performance.now() - againMs).toBeGreaterThan(115)
  })

  test.for([
    ['a text', 'INCR'],
    ['an expression', /incr/i],
  ] as const)(
    'can lose the answer to a request that is carried out: %s',
    async ([, match], { expect }) => {
      await using made = await throughProxy()
      const { client, proxy, redis } = made
      const cut = proxy.cutAfterRequest(match)
      expect(await client.ping()).toBe('PONG')
      await expect(client.incr('n')).rejects.toThrow()
      await cut
      expect(await redis.cli('GET', 'n')).toBe('1')
      expect(proxy.connections()).toBe(0)
      await using next = await at(proxy.port)
      expect(await next.incr('n')).toBe(2)
    },
  )

  test('without a pattern, the very next request loses its answer', async () => {
    await using made = await throughProxy()
    const { client, proxy, redis } = made
    const cut = proxy.cutAfterRequest()
    await expect(client.set('a', '1')).rejects.toThrow()
    await cut
    expect(await redis.cli('GET', 'a')).toBe('1')
  })

  test('as a black hole it takes everything and gives nothing, and delivers late', async () => {
    await using made = await throughProxy()
    const { client, proxy, redis } = made
    proxy.blackhole()
    const late = client.incr('n')
    expect(await outcome(late)).toBe('silent')
    expect(await redis.cli('GET', 'n')).toBe('')
    const opening = at(proxy.port)
    const asked = opening.then((opened) => opened.ping().finally(() => opened.destroy()))
    expect(await outcome(asked)).toBe('silent')
    expect(proxy.connections()).toBe(2)
    proxy.flow()
    expect(await late).toBe(1)
    expect(await asked).toBe('PONG')
  })

  test('as a black hole it does not tell Redis that a client has left', async () => {
    await using made = await throughProxy()
    const { client, proxy, redis } = made
    const isConnected = async () =>
      (await redis.cli('CLIENT', 'LIST')).includes(`laddr=127.0.0.1:${redis.port}`)
    proxy.blackhole()
    client.destroy()
    await wait(SILENCE_MS)
    expect(await isConnected()).toBe(true)
    proxy.flow()
    await expect.poll(isConnected).toBe(false)
  })

  test('refuses until it accepts again', async () => {
    await using made = await throughProxy()
    const { client, proxy } = made
    await proxy.refuse()
    await expect(client.ping()).rejects.toThrow()
    await expect(at(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await proxy.accept()
    await using next = await at(proxy.port)
    expect(await next.ping()).toBe('PONG')
  })

  test('cuts who is there and welcomes who comes', async () => {
    await using made = await throughProxy()
    const { client, proxy } = made
    const waiting = client.blPop('never', 0)
    expect(await outcome(waiting)).toBe('silent')
    proxy.cut()
    await expect(waiting).rejects.toThrow()
    await using next = await at(proxy.port)
    expect(await next.ping()).toBe('PONG')
    expect(proxy.connections()).toBe(1)
  })

  test('closes with connections open, even in a black hole', async () => {
    await using made = await throughProxy()
    made.proxy.blackhole()
    await made.proxy.close()
    expect(made.proxy.connections()).toBe(0)
    expect(await isFree(made.proxy.port)).toBe(true)
  })
})
