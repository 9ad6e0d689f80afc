import { AuthError } from '../errors.ts'
import type { Generations } from './generations.ts'
import type { Locks } from './locks.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import type { Owners, SessionIndex } from './session-index.ts'
import type { RecordPart, Store } from './store.ts'

/** Bounds of the memory store; what does not fit is refused, since evicting would sign somebody out. */
export interface MemoryBounds {
  readonly maxEntries: number
  readonly maxBytes: number
}

/** Monotonic milliseconds. */
export type MonotonicClock = () => number

interface Entry<T> {
  readonly value: T
  readonly bytes: number
  expiresAtMs: number
}

/** A map whose entries end by themselves and whose size is bounded by count and bytes. */
interface ExpiringMap<T> {
  get(key: string): Entry<T> | undefined
  set(key: string, value: T, bytes: number, ttlMs: number): void
  delete(key: string): void
  keys(): readonly string[]
}

const ENTRY_OVERHEAD_BYTES = 200
const SWEEP_INTERVAL_MS = 60_000
/** A full store is not searched for what has ended more often than this. */
const SWEEP_PAUSE_MS = 1000

function createExpiringMap<T>(bounds: MemoryBounds, now: MonotonicClock): ExpiringMap<T> {
  const entries = new Map<string, Entry<T>>()
  let totalBytes = 0
  const remove = (key: string) => {
    const entry = entries.get(key)
    if (entry && entries.delete(key)) totalBytes -= entry.bytes
  }
  let sweptAtMs = now()
  const sweep = () => {
    if (now() - sweptAtMs < SWEEP_PAUSE_MS) return
    sweptAtMs = now()
    for (const [key, entry] of entries) if (entry.expiresAtMs <= sweptAtMs) remove(key)
  }
  const isFull = (key: string, bytes: number) => {
    const replaced = entries.get(key)
    const count = entries.size + (replaced ? 0 : 1)
    return (
      count > bounds.maxEntries || totalBytes + bytes - (replaced?.bytes ?? 0) > bounds.maxBytes
    )
  }
  return {
    get(key) {
      const entry = entries.get(key)
      if (entry && entry.expiresAtMs > now()) return entry
      remove(key)
      return undefined
    },
    set(key, value, payloadBytes, ttlMs) {
      const bytes = payloadBytes + ENTRY_OVERHEAD_BYTES
      if (isFull(key, bytes) || now() - sweptAtMs > SWEEP_INTERVAL_MS) sweep()
      if (isFull(key, bytes)) throw new AuthError('store_unavailable', 'the memory store is full')
      remove(key)
      entries.set(key, { value, bytes, expiresAtMs: now() + ttlMs })
      totalBytes += bytes
    },
    delete: remove,
    keys: () =>
      [...entries].flatMap(([key, { expiresAtMs }]) => (expiresAtMs > now() ? [key] : [])),
  }
}

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
      const bytes = records.s.length + records.t.length + records.m.length
      sessions.set(digest, records, bytes, ttlMs)
    },
    async replace(digest, { s, t }, before) {
      const entry = sessions.get(digest)
      if (!entry) return 'gone'
      const { value, expiresAtMs } = entry
      if (value.t.equals(t)) return 'replaced'
      if (!value.t.equals(before)) return 'changed'
      const bytes = s.length + t.length + value.m.length
      sessions.set(digest, { s, t, m: value.m }, bytes, expiresAtMs - now())
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

/** Consumption marks in this process only. */
export function createMemoryOneTimeKeys(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): OneTimeKeys {
  const marks = createMarks(bounds, now)
  return {
    consume: async (kind, key, attemptId, ttlMs) => marks.set(`${kind}:${key}`, attemptId, ttlMs),
    extend: async (kind, key, attemptId, ttlMs) => marks.extend(`${kind}:${key}`, attemptId, ttlMs),
    release: async (kind, key, attemptId) => marks.release(`${kind}:${key}`, attemptId),
  }
}

/** Locks among those who are in this process. */
export function createMemoryLocks(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): Locks {
  const marks = createMarks(bounds, now)
  return {
    acquire: async (digest, owner, ttlMs) => marks.set(digest, owner, ttlMs),
    extend: async (digest, owner, ttlMs) => marks.extend(digest, owner, ttlMs),
    release: async (digest, owner) => marks.release(digest, owner),
  }
}

/** Names that belong to who sets them first, until they end. */
function createMarks(bounds: MemoryBounds, now: MonotonicClock) {
  const marks = createExpiringMap<string>(bounds, now)
  return {
    set(name: string, owner: string, ttlMs: number): boolean {
      const before = marks.get(name)?.value
      if (before !== undefined) return before === owner
      marks.set(name, owner, name.length + owner.length, ttlMs)
      return true
    },
    extend(name: string, owner: string, ttlMs: number): boolean {
      const entry = marks.get(name)
      if (entry?.value !== owner) return false
      entry.expiresAtMs = now() + ttlMs
      return true
    },
    release(name: string, owner: string): void {
      if (marks.get(name)?.value === owner) marks.delete(name)
    },
  }
}

/** Generations of this process. */
export function createMemoryGenerations(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 16 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): Generations {
  const oldest = createExpiringMap<number>(bounds, now)
  let generation = 0
  let oldestOfAll = 0
  return {
    current: async () => generation,
    async advance(owner, ttlMs) {
      generation++
      if (owner === undefined) oldestOfAll = generation
      else oldest.set(owner, generation, owner.length, ttlMs)
    },
    oldestOf: async (...owners) =>
      Math.max(oldestOfAll, ...owners.map((owner) => oldest.get(owner)?.value ?? 0)),
  }
}

/** Whose sessions are whose, in this process only. */
export function createMemorySessionIndex(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): SessionIndex {
  const owned = createExpiringMap<ReadonlyMap<string, number>>(bounds, now)
  const keysOf = (owners: Owners) =>
    Object.entries(owners).map(([kind, owner]) => `${kind}:${owner}`)
  const alive = (key: string) =>
    [...(owned.get(key)?.value ?? [])].filter(([, endsAtMs]) => endsAtMs > now())
  const keep = (key: string, entries: readonly (readonly [string, number])[]) => {
    const lastEndMs = Math.max(...entries.map(([, endsAtMs]) => endsAtMs))
    owned.set(key, new Map(entries), entries.length * ENTRY_OVERHEAD_BYTES, lastEndMs - now())
  }
  return {
    async add(digest, owners, ttlMs) {
      for (const key of keysOf(owners)) keep(key, [...alive(key), [digest, now() + ttlMs]])
    },
    list: async (kind, owner) => alive(`${kind}:${owner}`).map(([digest]) => digest),
    async remove(digest, owners) {
      for (const key of keysOf(owners)) {
        const others = alive(key).filter(([each]) => each !== digest)
        if (others.length > 0) keep(key, others)
        else owned.delete(key)
      }
    },
  }
}
