import type { MessageBody } from './backplane-message.ts'
import type { BinaryClient } from './client.ts'
import type { GuardedRedis } from './guarded-redis.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import { failureOf } from './redis-failure.ts'
import { CONSUME, CREATE, END, EXTEND, INDEX_ADD, INDEX_LIST, RELEASE } from './redis-scripts.ts'
import { createScoutedReads, type Values } from './scouted-reads.ts'
import type { OwnerKind, Owners, SessionIndex } from './session-index.ts'
import { type RecordPart, recordKey, type Store } from './store.ts'

/** Where the keys live and how long an answer may take where the caller does not say. */
export interface RedisStoreOptions {
  readonly redis: GuardedRedis
  readonly prefix: string
  readonly channel: string
  /** What is published so that other replicas hear of it. */
  readonly writeMessage: (body: MessageBody) => string
  readonly readTimeoutMs: number
  readonly writeTimeoutMs: number
}

/** More is no record of ours: what a provider answers is bounded to half of this before it is sealed. */
const MAX_RECORD_BYTES = 2 * 1024 * 1024

/** Stands for what is there and cannot be a record, such as a list or 50 MB; no key opens it (threat A91). */
const UNUSABLE = Buffer.alloc(0)

/** Sessions in Redis, read anew every time; `redis-cli` shows digests and sealed bytes. */
export function createRedisStore(options: RedisStoreOptions): Store {
  const { redis, prefix, channel, readTimeoutMs, writeTimeoutMs } = options
  const keyOf = (digest: string, part: RecordPart | 'l' | 'x') => recordKey(prefix, digest, part)
  const reads = createScoutedReads(MAX_RECORD_BYTES, UNUSABLE)
  return {
    async read(digest, parts, timeoutMs = readTimeoutMs) {
      const keys = parts.map((part) => keyOf(digest, part))
      const values = await redis.read(
        (_, binary) => reads.read(digest, () => fetchAll(binary, keys)),
        timeoutMs,
      )
      return Object.fromEntries(parts.map((part, index) => [part, values[index] ?? undefined]))
    },

    async create(digest, { s, t, m }, ttlMs) {
      const keys = (['s', 't', 'm', 'x'] as const).map((part) => keyOf(digest, part))
      const call = { keys, arguments: [milliseconds(ttlMs), s, t, m] }
      await redis.write((client) => client.eval(CREATE, call), writeTimeoutMs)
    },

    async extend(digest, ttlMs) {
      const keys = (['s', 't', 'm'] as const).map((part) => keyOf(digest, part))
      const ttl = Number(milliseconds(ttlMs))
      const [extended] = await redis.writeOnce(
        (client) => Promise.all(keys.map((key) => client.pExpire(key, ttl))),
        writeTimeoutMs,
      )
      return extended === 1
    },

    async end(digest, tombstoneMs) {
      const keys = (['s', 't', 'm', 'l', 'x'] as const).map((part) => keyOf(digest, part))
      const message = options.writeMessage({ type: 'session-ended', session: digest })
      const call = { keys, arguments: [milliseconds(tombstoneMs), channel, message] }
      await redis.write((client) => client.eval(END, call), writeTimeoutMs)
    },
  }
}

/** One key is one `GET`, several are one `MGET`. */
async function fetchAll(binary: BinaryClient, keys: readonly string[]): Promise<Values> {
  const [key] = keys
  if (keys.length > 1 || key === undefined) return binary.mGet([...keys])
  try {
    return [await binary.get(key)]
  } catch (error) {
    if (failureOf(error) === 'data') return [UNUSABLE]
    throw error
  }
}

/** Consumption marks in Redis, which alone decides; no cache stands in front of them. */
export function createRedisOneTimeKeys(options: RedisStoreOptions): OneTimeKeys {
  const { redis, prefix, writeTimeoutMs } = options
  const nameOf = (kind: string, key: string) => `${prefix}j:${kind}:{${key}}`
  let understandsNxGet = true

  /** The owner that was there before; null when the mark is new. */
  async function mark(name: string, attemptId: string, ttlMs: number, timeoutMs: number) {
    const ttl = milliseconds(ttlMs)
    const script = { keys: [name], arguments: [attemptId, ttl] }
    const set = {
      condition: 'NX',
      GET: true,
      expiration: { type: 'PX', value: Number(ttl) },
    } as const
    return redis.write(async (client) => {
      try {
        if (understandsNxGet) return await client.set(name, attemptId, set)
        return await client.eval(CONSUME, script)
      } catch (error) {
        // Something else is there in place of a mark, which is as good as one of somebody else.
        if (failureOf(error) === 'data') return ''
        // Before Redis 7.0 the two do not go together.
        if (!understandsNxGet || !isSyntaxError(error)) throw error
        understandsNxGet = false
        return client.eval(CONSUME, script)
      }
    }, timeoutMs)
  }

  return {
    async consume(kind, key, attemptId, ttlMs, timeoutMs = writeTimeoutMs) {
      const owner = await mark(nameOf(kind, key), attemptId, ttlMs, timeoutMs)
      return owner === null || owner === attemptId
    },
    async extend(kind, key, attemptId, ttlMs) {
      const script = {
        keys: [nameOf(kind, key)],
        arguments: [attemptId, milliseconds(ttlMs)],
      }
      const extended = await redis.write((client) => client.eval(EXTEND, script), writeTimeoutMs)
      return extended === 1
    },
    async release(kind, key, attemptId) {
      const script = { keys: [nameOf(kind, key)], arguments: [attemptId] }
      await redis.write((client) => client.eval(RELEASE, script), writeTimeoutMs)
    },
  }
}

/** The letters of the keys that hold an index. */
const INDEX_LETTER: Readonly<Record<OwnerKind, string>> = { user: 'u', providerSession: 'p' }

/** Sorted sets of session digests by the sessions' ends. */
export function createRedisSessionIndex(options: RedisStoreOptions): SessionIndex {
  const { redis, prefix, readTimeoutMs, writeTimeoutMs } = options
  const nameOf = (kind: OwnerKind, owner: string) => `${prefix}${INDEX_LETTER[kind]}:{${owner}}`
  const namesOf = (owners: Owners) =>
    (Object.entries(owners) as [OwnerKind, string][]).map(([kind, owner]) => nameOf(kind, owner))
  return {
    async add(digest, owners, ttlMs) {
      const call = { arguments: [milliseconds(ttlMs), digest] }
      await redis.write(
        (client) =>
          Promise.all(
            namesOf(owners).map((name) => client.eval(INDEX_ADD, { ...call, keys: [name] })),
          ),
        writeTimeoutMs,
      )
    },
    async list(kind, owner) {
      const call = { keys: [nameOf(kind, owner)] }
      const found = await redis.read((client) => client.eval(INDEX_LIST, call), readTimeoutMs)
      return found as unknown as string[]
    },
    async remove(digest, owners) {
      await redis.write(
        (client) => Promise.all(namesOf(owners).map((name) => client.zRem(name, digest))),
        writeTimeoutMs,
      )
    },
  }
}

function isSyntaxError(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('ERR syntax error')
}

/** Redis takes whole milliseconds of at least one. */
function milliseconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)))
}
