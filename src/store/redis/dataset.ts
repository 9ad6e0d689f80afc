import { randomUUID } from 'node:crypto'
import type { RedisClient } from '../../redis/client.ts'
import type { GuardedRedis } from '../../redis/guarded.ts'

/** Name of the data in Redis, which is lost together with them and so tells them from other data. */
export interface Dataset {
  /** Reads the name. Throws `AuthError` `store_unavailable`. */
  read(): Promise<void>
  /** Writes a name where there is none. Throws `AuthError` `store_unavailable`. */
  write(): Promise<void>
}

export interface DatasetOptions {
  readonly redis: GuardedRedis
  readonly prefix: string
  readonly timeoutMs: number
  /** Called when the name differs from the last one, after which any session or mark may be missing. */
  readonly onChanged: () => void
}

/** TTL of the name, which each `write` sets anew. */
const TTL_MS = 30 * 24 * 60 * 60 * 1000

/**
 * Creates the name, whose read is also the health probe, because a Redis that cannot read data still answers `PING`.
 */
export function createDataset({ redis, prefix, timeoutMs, onChanged }: DatasetOptions): Dataset {
  const key = `${prefix}{dataset}`
  let known: string | undefined

  function learn(found: string | null): void {
    if (known !== undefined && found !== known) onChanged()
    known = found ?? undefined
  }

  return {
    async read() {
      learn(await redis.read(key, (client) => client.get(key), timeoutMs))
    },
    async write() {
      const ifNone = { condition: 'NX', expiration: { type: 'PX', value: TTL_MS } } as const
      // Uses a new name each time, because a missing name means that the earlier data are lost.
      const write = async (client: RedisClient) => {
        await client.set(key, randomUUID(), ifNone)
        await client.pExpire(key, TTL_MS)
      }
      await redis.write(key, write, timeoutMs)
    },
  }
}
