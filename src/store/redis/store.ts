import type { BinaryClient, Command, Primary } from '../../redis/client.ts'
import { failureOf } from '../../redis/failure.ts'
import {
  type KeyPart,
  type RecordPart,
  type Replacement,
  recordKey,
  type SealedRecords,
  type Store,
} from '../store.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { readValues, readWord } from './replies.ts'
import { createScoutedReads, type Values } from './scouted-reads.ts'
import { CREATE, END, REPLACE } from './scripts.ts'

/**
 * Size above which a value cannot be a record, because a provider's answer is bounded to half of this before sealing.
 */
const MAX_RECORD_BYTES = 2 * 1024 * 1024

/** Cursor with which Redis begins and ends a scan. */
const FIRST = '0'
const LAST = 'last'
const SCANNED_AT_ONCE = 1000

/** Stands for a value that cannot be a record, such as a list or 50 MB, and fails to open (threat A91). */
const UNUSABLE = Buffer.alloc(0)

/** Creates a store in Redis without any cache; keys hold digests, and values are sealed bytes. */
export function createRedisStore(options: RedisPortOptions): Store {
  const { redis, prefix, channel, readTimeoutMs, writeTimeoutMs } = options
  const keyOf = (digest: string, part: KeyPart) => recordKey(prefix, digest, part)
  const pattern = `${escapeGlob(prefix)}{*}:s`
  const reads = createScoutedReads(MAX_RECORD_BYTES)
  return {
    read(digest, parts, timeoutMs = readTimeoutMs) {
      const keys = parts.map((part) => keyOf(digest, part))
      const unusable = () => toRecords(parts, [UNUSABLE])
      const readAnswer = (values: Values) =>
        reads.isUsual(digest, values) ? toRecords(parts, values) : unusable()
      const command: Command<SealedRecords> = (_, binary) =>
        reads.read(digest, () => fetchAll(binary, keys, readAnswer), unusable)
      return redis.read(keys[0], command, timeoutMs)
    },

    async create(digest, { identity, tokens, metadata }, ttlMs) {
      const keys = (['identity', 'tokens', 'metadata', 'tombstone'] as const).map((part) =>
        keyOf(digest, part),
      )
      const call = { keys, arguments: [milliseconds(ttlMs), identity, tokens, metadata] }
      const reply = await redis.write(
        keys[0],
        (client) => client.eval(CREATE, call),
        writeTimeoutMs,
      )
      readWord<0 | 1>(reply, [0, 1])
    },

    async extend(digest, ttlMs) {
      const keys = (['identity', 'tokens', 'metadata'] as const).map((part) => keyOf(digest, part))
      const ttl = Number(milliseconds(ttlMs))
      const [extended] = await redis.writeOnce(
        keys[0],
        (client) => Promise.all(keys.map((key) => client.pExpire(key, ttl))),
        writeTimeoutMs,
      )
      return extended === 1
    },

    async replace(digest, { identity, tokens }, before) {
      const keys = (['identity', 'tokens'] as const).map((part) => keyOf(digest, part))
      const message = options.writeMessage({ type: 'evict', session: digest })
      const call = { keys, arguments: [before, identity, tokens, channel, message] }
      const outcome = await redis.write(
        keys[0],
        (client) => client.eval(REPLACE, call),
        writeTimeoutMs,
      )
      return readWord<Replacement>(outcome, ['replaced', 'changed', 'gone'])
    },

    async *list() {
      const cursors = new Map<string, string>()
      const scan = async ({ address, run }: Primary) => {
        const from = cursors.get(address) ?? FIRST
        if (from === LAST) return undefined
        const page = await run((client) =>
          client.scan(from, { MATCH: pattern, COUNT: SCANNED_AT_ONCE }),
        )
        cursors.set(address, page.cursor === FIRST ? LAST : page.cursor)
        return page.keys.map((key) => key.slice(prefix.length + 1, -'}:s'.length))
      }
      for (;;) {
        const pages = await redis.readAtEach(scan, readTimeoutMs)
        if (pages.every((page) => page === undefined)) return
        yield pages.flatMap((page) => page ?? [])
      }
    },

    async end(digest, tombstoneMs, reason) {
      const keys = (['identity', 'tokens', 'metadata', 'lock', 'tombstone'] as const).map((part) =>
        keyOf(digest, part),
      )
      const about = reason === undefined ? {} : { reason }
      const message = options.writeMessage({ type: 'session-ended', session: digest, ...about })
      const call = { keys, arguments: [milliseconds(tombstoneMs), channel, message] }
      await redis.write(keys[0], (client) => client.eval(END, call), writeTimeoutMs)
    },
  }
}

/**
 * Reads one key by `GET` and several by `MGET`; a value of another type is `UNUSABLE`. Writes the words itself, because a
 * method of node-redis makes two promises more.
 */
function fetchAll<T>(
  binary: BinaryClient,
  keys: readonly string[],
  readAnswer: (values: Values) => T,
): Promise<T> {
  const isOne = keys.length === 1
  return binary.sendCommand<unknown>([isOne ? 'GET' : 'MGET', ...keys]).then(
    (reply) => readAnswer(readValues(isOne ? [reply] : reply, keys.length)),
    (cause: unknown) => {
      if (failureOf(cause) === 'data') return readAnswer([UNUSABLE])
      throw cause
    },
  )
}

function toRecords(parts: readonly RecordPart[], values: Values): SealedRecords {
  const records: Partial<Record<RecordPart, Buffer>> = {}
  for (const [index, part] of parts.entries()) {
    const value = values[index]
    if (value) records[part] = value
  }
  return records
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\]/g, '\\$&')
}
