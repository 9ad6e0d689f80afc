import { createClient, RESP_TYPES } from 'redis'
import type { RunningRedis } from './redis.ts'

/** Foreign client that reads and writes values of Redis byte for byte. */
export type RedisBytes = Awaited<ReturnType<typeof openRedisBytes>>

const HOUR_SECONDS = '3600'

export async function openRedisBytes(redis: RunningRedis) {
  const text = createClient({ url: redis.url, disableClientInfo: true })
  text.on('error', () => undefined)
  await text.connect()
  const client = text.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const keys = async (pattern: string = '*') => (await text.keys(pattern)).toSorted()
  /** Returns nothing for keys that have expired meanwhile. */
  const held = async (key: string): Promise<Buffer[] | undefined> => {
    const type = await text.type(key)
    if (type === 'string') return [(await client.get(key)) as Buffer]
    if (type === 'zset') return client.zRange(key, 0, -1)
    if (type === 'stream') {
      const entries = (await client.xRange(key, '-', '+')) ?? []
      return entries.flatMap(({ message }) =>
        Object.values(message).map((each) => Buffer.from(each)),
      )
    }
    if (type === 'none') return undefined
    throw new Error(`${key} is a ${type}`)
  }
  return {
    get: async (key: string) => {
      const value = await client.get(key)
      if (value === null) throw new Error(`${key} is not there`)
      return value
    },
    /** Writes a value and keeps its TTL. */
    put: async (key: string, value: Buffer) => {
      const isThere = (await text.exists(key)) === 1
      const ttl = isThere ? (['KEEPTTL'] as const) : (['EX', HOUR_SECONDS] as const)
      await text.sendCommand(['SET', key, value, ...ttl])
    },
    keys,
    /** Returns all keys with their values, of any type. */
    dump: async () => {
      const all = new Map<string, readonly Buffer[]>()
      for (const key of await keys()) {
        const values = await held(key)
        if (values) all.set(key, values)
      }
      return all
    },
    [Symbol.asyncDispose]: async () => text.destroy(),
  }
}
