import { createClient, RESP_TYPES } from 'redis'
import type { RunningRedis } from './redis.ts'

/** Foreign client that reads and writes values of Redis byte for byte. */
export interface RedisBytes extends AsyncDisposable {
  readonly get: (key: string) => Promise<Buffer>
  /** Writes a value and keeps its TTL. */
  readonly put: (key: string, value: Buffer) => Promise<void>
  readonly keys: (pattern?: string) => Promise<readonly string[]>
  /** Returns all keys with their values, of any type. */
  readonly dump: () => Promise<ReadonlyMap<string, readonly Buffer[]>>
}

const HOUR_SECONDS = '3600'

export async function openRedisBytes(redis: RunningRedis): Promise<RedisBytes> {
  const text = createClient({ url: redis.url, disableClientInfo: true })
  text.on('error', () => undefined)
  await text.connect()
  const client = text.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const keys: RedisBytes['keys'] = async (pattern = '*') => (await text.keys(pattern)).toSorted()
  /** Returns nothing for keys that have expired meanwhile. */
  const held = async (key: string): Promise<Buffer[] | undefined> => {
    const type = await text.type(key)
    if (type === 'string') return [(await client.get(key)) as Buffer]
    if (type === 'zset') return client.zRange(key, 0, -1)
    if (type === 'none') return undefined
    throw new Error(`${key} is a ${type}`)
  }
  return {
    get: async (key) => {
      const value = await client.get(key)
      if (value === null) throw new Error(`${key} is not there`)
      return value
    },
    put: async (key, value) => {
      const isThere = (await text.exists(key)) === 1
      const ttl = isThere ? (['KEEPTTL'] as const) : (['EX', HOUR_SECONDS] as const)
      await text.sendCommand(['SET', key, value, ...ttl])
    },
    keys,
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
