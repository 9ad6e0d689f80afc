import type { OwnerKind, Owners, SessionsByOwner } from '../sessions-by-owner.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { readTexts } from './replies.ts'
import { INDEX_ADD, INDEX_LIST, INDEX_REMOVE_LOST } from './scripts.ts'

/** Letters of the index keys. */
const INDEX_LETTER: Readonly<Record<OwnerKind, string>> = { user: 'u', providerSession: 'p' }

/** Creates an index of sorted sets of session digests, scored by expiry. */
export function createRedisSessionsByOwner(options: RedisPortOptions): SessionsByOwner {
  const { redis, prefix, readTimeoutMs, writeTimeoutMs } = options
  const nameOf = (kind: OwnerKind, owner: string) => `${prefix}${INDEX_LETTER[kind]}:{${owner}}`
  const namesOf = (owners: Partial<Owners>) =>
    (Object.entries(owners) as [OwnerKind, string][]).map(([kind, owner]) => nameOf(kind, owner))

  return {
    async add(digest, owners, ttlMs) {
      const call = { arguments: [milliseconds(ttlMs), digest] }
      await redis.writeEach(
        namesOf(owners),
        (client, name) => client.eval(INDEX_ADD, { ...call, keys: [name] }),
        writeTimeoutMs,
      )
    },
    async list(kind, owner) {
      const call = { keys: [nameOf(kind, owner)] }
      const found = await redis.read(
        call.keys[0],
        (client) => client.eval(INDEX_LIST, call),
        readTimeoutMs,
      )
      return readTexts(found)
    },
    async remove(digest, owners) {
      await redis.writeEach(
        namesOf(owners),
        (client, name) => client.zRem(name, digest),
        writeTimeoutMs,
      )
    },
    async removeLost({ kind, id }, digests, withinMs) {
      const call = { keys: [nameOf(kind, id)], arguments: [milliseconds(withinMs), ...digests] }
      await redis.write(
        call.keys[0],
        (client) => client.eval(INDEX_REMOVE_LOST, call),
        writeTimeoutMs,
      )
    },
  }
}
