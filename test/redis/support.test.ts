import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { createClient } from 'redis'
import { beforeEach, describe, expect, test } from 'vitest'
import { isFree } from '../../stand-ins/process.ts'
import { startRedis } from '../support/redis.ts'
import { redisMissing } from '../support/redis-home.ts'
import { redisTest } from '../support/redis-test.ts'
import { sharedRedis } from '../support/shared-redis.ts'

/** Tests what no other test would notice: stand-ins whose faults make other tests red have none here. */
const missing = await redisMissing()
beforeEach(({ skip }) => skip(missing !== undefined, missing))

const SILENCE_MS = 150

const open = async ({ port }: { readonly port: number }) => {
  const client = createClient({
    socket: { port, reconnectStrategy: false, connectTimeout: 2000 },
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  await client.on('error', () => undefined).connect()
  const end = async () => void (client.isOpen && client.destroy())
  return Object.assign(client, { [Symbol.asyncDispose]: end })
}

const outcome = (promise: Promise<unknown>): Promise<string> =>
  Promise.race([
    promise.then(
      (value) => `answered ${String(value)}`,
      () => 'failed',
    ),
    wait(SILENCE_MS, 'silent'),
  ])

describe('a Redis of a test', () => {
  test('listens on loopback only, saves nothing, and is gone with its folder afterwards', async () => {
    const redis = await startRedis()
    const folder = dirname(redis.clientFiles.ca)
    expect(await redis.cli('CONFIG', 'GET', 'bind')).toBe('bind\n127.0.0.1')
    expect([await redis.cli('CONFIG', 'GET', 'save'), existsSync(folder)]).toEqual(['save\n', true])
    await redis.stop()
    expect([existsSync(folder), await isFree(redis.port)]).toEqual([false, true])
    await expect(redis.cli('PING')).rejects.toThrow('does not run')
  })

  test('says why it does not start', async () => {
    const started = startRedis({ args: ['--no-such-directive', '1'] })
    await expect(started).rejects.toThrow(/did not start[^]*no-such-directive/)
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

const proxyTest = redisTest.extend('client', async ({ proxy }, { onCleanup }) => {
  const client = await open(proxy)
  onCleanup(client[Symbol.asyncDispose])
  return client
})

describe('a proxy before Redis', () => {
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

  proxyTest('delivers late what a black hole kept', async ({ redis, proxy, client }) => {
    proxy.blackhole()
    const late = client.incr('n')
    expect([await outcome(late), await redis.cli('GET', 'n')]).toEqual(['silent', ''])
    proxy.flow()
    expect(await late).toBe(1)
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
    await using next = await open(proxy)
    expect(await next.ping()).toBe('PONG')
  })
})
