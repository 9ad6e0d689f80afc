import type { Primary } from '../../redis/client.ts'
import { type KeyPart, type Replacement, recordKey, type Store } from '../store.ts'
import { createLifeReads } from './life-reads.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { createRecordReads } from './record-reads.ts'
import { readWord } from './replies.ts'
import { CREATE, END, REPLACE } from './scripts.ts'

/** Cursor with which Redis begins and ends a scan. */
const FIRST = '0'
const LAST = 'last'
const SCANNED_AT_ONCE = 1000

/** Creates a store in Redis without any cache; keys hold digests, and values are sealed bytes. */
export function createRedisStore(options: RedisPortOptions): Store {
  const { redis, prefix, channel, readTimeoutMs, writeTimeoutMs } = options
  const keyOf = (digest: string, part: KeyPart) => recordKey(prefix, digest, part)
  const pattern = `${escapeGlob(prefix)}{*}:s`
  const readRecords = createRecordReads()
  return {
    read(digest, parts, timeoutMs = readTimeoutMs) {
      const keys = parts.map((part) => keyOf(digest, part))
      return redis.read(
        keys[0],
        (_, binary) => readRecords({ digest, parts, keys, binary }),
        timeoutMs,
      )
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
      const message = options.writeMessage({ type: 'evict', session: digest, renewed: true })
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
      const message = options.writeMessage({ type: 'session-ended', session: digest, reason })
      const call = { keys, arguments: [milliseconds(tombstoneMs), reason, channel, message] }
      await redis.write(keys[0], (client) => client.eval(END, call), writeTimeoutMs)
    },

    readLives: createLifeReads(options),
  }
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\]/g, '\\$&')
}
