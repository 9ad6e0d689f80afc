import type { RecordPart, Store } from '../store.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

/** Creates a store for a single replica, which is lost with its process. */
export function createMemoryStore(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 256 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): Store {
  const sessions = createExpiringMap<Readonly<Record<RecordPart, Buffer>>>(bounds, now)
  const ended = createExpiringMap<true>(bounds, now)
  return {
    async read(digest, parts) {
      const records = sessions.get(digest)?.value
      return records ? Object.fromEntries(parts.map((part) => [part, records[part]])) : {}
    },
    async create(digest, records, ttlMs) {
      if (ended.get(digest)) return
      const bytes = records.identity.length + records.tokens.length + records.metadata.length
      sessions.set(digest, records, bytes, ttlMs)
    },
    async replace(digest, { identity, tokens }, before) {
      const entry = sessions.get(digest)
      if (!entry) return 'gone'
      const { value, expiresAtMs } = entry
      if (value.tokens.equals(tokens)) return 'replaced'
      if (!value.tokens.equals(before)) return 'changed'
      const bytes = identity.length + tokens.length + value.metadata.length
      sessions.set(
        digest,
        { identity, tokens, metadata: value.metadata },
        bytes,
        expiresAtMs - now(),
      )
      return 'replaced'
    },
    async extend(digest, ttlMs) {
      const entry = sessions.get(digest)
      if (entry) entry.expiresAtMs = now() + ttlMs
      return entry !== undefined
    },
    async end(digest, tombstoneMs) {
      sessions.delete(digest)
      ended.set(digest, true, digest.length, tombstoneMs)
    },
    async *list() {
      yield sessions.keys()
    },
  }
}
