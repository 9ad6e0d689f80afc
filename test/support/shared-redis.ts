import { randomBytes } from 'node:crypto'
import { createClient } from 'redis'
import { startRedis } from './redis.ts'
import { redisMissing } from './redis-home.ts'

/** Some Redis, which may be in use by others: only keys with the prefix are the test's own. */
export interface SharedRedis extends AsyncDisposable {
  readonly url: string
  readonly keyPrefix: string
}

/** The Redis of `REDIS_URL` if there is one, else one in a container where Docker answers, else a process. */
export const sharedRedis = async (): Promise<SharedRedis> => {
  const keyPrefix = `test-${randomBytes(6).toString('hex')}:`
  const given = process.env['REDIS_URL']
  if (given) {
    return { url: given, keyPrefix, [Symbol.asyncDispose]: () => removeKeys(given, keyPrefix) }
  }
  if (await redisMissing()) {
    throw new Error(`no Redis for tests: REDIS_URL is not set, ${await redisMissing()}`)
  }
  const own = await startRedis({}, 'container')
  return { url: own.url, keyPrefix, [Symbol.asyncDispose]: own.stop }
}

const removeKeys = async (url: string, keyPrefix: string): Promise<void> => {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  for await (const keys of client.scanIterator({ MATCH: `${keyPrefix}*`, COUNT: 1000 })) {
    if (keys.length > 0) await client.unlink(keys)
  }
  client.destroy()
}
