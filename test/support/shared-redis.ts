import { randomBytes } from 'node:crypto'
import { createClient } from 'redis'
import { parseRedisAddress } from '../../src/config/redis/address.ts'
import type { SingleTarget } from '../../src/redis/target.ts'
import { type Reply, replyText, startRedis } from './redis.ts'
import { dockerMissing, findRedisHome, redisMissing } from './redis-home.ts'
import type { AskRedis } from './redis-time.ts'

/**
 * Returns the Redis of `REDIS_URL`, else one in a container where Docker answers, else a process of the `redis-server`
 * on PATH, which the set-up of the tests installs on Debian as root; others may use it, too, so only keys with the prefix
 * belong to the test. Throws an error that names what is missing.
 */
export async function sharedRedis() {
  const keyPrefix = `test-${randomBytes(6).toString('hex')}:`
  const given = process.env['REDIS_URL']
  if (given) return { ...(await useGiven(given, keyPrefix)), keyPrefix }
  const home = await findRedisHome('container')
  if (!home) throw new Error(`no Redis for tests: REDIS_URL is not set, ${await redisMissing()}`)
  const own = await startRedis({}, home)
  return {
    url: own.url,
    target: targetOf(own.url),
    keyPrefix,
    cli: own.cli,
    home:
      home === 'container'
        ? 'in a container, through testcontainers'
        : `as a process; skipped: the container, since ${await dockerMissing()}`,
    [Symbol.asyncDispose]: own.stop,
  }
}

function targetOf(url: string): SingleTarget {
  const { servers, isTls, database = 0, username, password } = parseRedisAddress(url)
  return {
    kind: 'single',
    ...servers[0],
    database,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(isTls && { tls: { skipVerify: false } }),
  }
}

async function useGiven(url: string, keyPrefix: string) {
  const client = createClient({ url, RESP: 2 })
  client.on('error', () => undefined)
  await client.connect()
  return {
    url,
    target: targetOf(url),
    cli: (async (...args) => replyText(await client.sendCommand<Reply>(args))) as AskRedis,
    home: 'at REDIS_URL',
    [Symbol.asyncDispose]: async () => {
      for await (const keys of client.scanIterator({ MATCH: `${keyPrefix}*`, COUNT: 1000 })) {
        if (keys.length > 0) await client.unlink(keys)
      }
      client.destroy()
    },
  }
}
