import { AuthError } from '../errors.ts'
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
    async extend(digest, ttlMs) {
      const entry = sessions.get(digest)
      if (entry) entry.expiresAtMs = now() + ttlMs
      return entry !== undefined
    },
    async end(digest, tombstoneMs) {
      sessions.delete(digest)
      ended.set(digest, true, digest.length, tombstoneMs)
    },
  }
}

/** Consumption marks in this process only. */
export function createMemoryOneTimeKeys(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): OneTimeKeys {
  const marks = createExpiringMap<string>(bounds, now)
  return {
    async consume(kind, key, attemptId, ttlMs) {
      const name = `${kind}:${key}`
      const owner = marks.get(name)?.value
      if (owner !== undefined) return owner === attemptId
      marks.set(name, attemptId, name.length + attemptId.length, ttlMs)
      return true
    },
    async extend(kind, key, attemptId, ttlMs) {
      const entry = marks.get(`${kind}:${key}`)
      if (entry?.value !== attemptId) return false
      entry.expiresAtMs = now() + ttlMs
      return true
    },
    async release(kind, key, attemptId) {
      const name = `${kind}:${key}`
      if (marks.get(name)?.value === attemptId) marks.delete(name)
    },
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
