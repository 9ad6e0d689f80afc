import { randomUUID } from 'node:crypto'
import type { GuardedRedis } from '../../redis/guarded.ts'

/** What is in Redis, told apart from what was in it before: a name that is lost when the data are. */
export interface Dataset {
  /** Asks for the name. Throws as all reads do. */
  read(): Promise<void>
  /** Writes the name where there is none. Throws as all writes do. */
  write(): Promise<void>
}

export interface DatasetOptions {
  readonly redis: GuardedRedis
  readonly prefix: string
  readonly timeoutMs: number
  /** The data are others than before: sessions and markers are gone, unknown which. */
  readonly onChanged: () => void
}

/** Longer than a Redis that keeps its data goes without being asked. */
const TTL_MS = 30 * 24 * 60 * 60 * 1000

/** Reading it is also how Redis is asked whether it can be read: it answers some commands that need no data while it cannot. */
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
      // A new name each time, because what is written anew is other data than before.
      await redis.write(key, (client) => client.set(key, randomUUID(), ifNone), timeoutMs)
      await redis.write(key, (client) => client.pExpire(key, TTL_MS), timeoutMs)
    },
  }
}
