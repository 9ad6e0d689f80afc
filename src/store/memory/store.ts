import type { Owners, SessionIndex } from '../session-index.ts'
import type { RecordPart, Store } from '../store.ts'
import {
  createExpiringMap,
  ENTRY_OVERHEAD_BYTES,
  type MemoryBounds,
  type MonotonicClock,
} from './expiring-map.ts'

/** Sessions in this process only: for one replica, and gone with it. */
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

/** Whose sessions are whose, in this process only. */
export function createMemorySessionIndex(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): SessionIndex {
  const owned = createExpiringMap<ReadonlyMap<string, number>>(bounds, now)
  const keysOf = (owners: Partial<Owners>) =>
    Object.entries(owners).map(([kind, owner]) => `${kind}:${owner}`)
  const alive = (key: string) =>
    [...(owned.get(key)?.value ?? [])].filter(([, endsAtMs]) => endsAtMs > now())
  const keep = (key: string, entries: readonly (readonly [string, number])[]) => {
    const lastEndMs = Math.max(...entries.map(([, endsAtMs]) => endsAtMs))
    owned.set(key, new Map(entries), entries.length * ENTRY_OVERHEAD_BYTES, lastEndMs - now())
  }
  const keepOnly = (key: string, isKept: (entry: readonly [string, number]) => boolean) => {
    const others = alive(key).filter(isKept)
    if (others.length > 0) keep(key, others)
    else owned.delete(key)
  }
  return {
    async add(digest, owners, ttlMs) {
      for (const key of keysOf(owners)) keep(key, [...alive(key), [digest, now() + ttlMs]])
    },
    list: async (kind, owner) => alive(`${kind}:${owner}`).map(([digest]) => digest),
    async remove(digest, owners) {
      for (const key of keysOf(owners)) keepOnly(key, ([each]) => each !== digest)
    },
    async removeLost({ kind, id }, digests, withinMs) {
      const lost = new Set(digests)
      keepOnly(
        `${kind}:${id}`,
        ([each, endsAtMs]) => !lost.has(each) || endsAtMs > now() + withinMs,
      )
    },
  }
}
