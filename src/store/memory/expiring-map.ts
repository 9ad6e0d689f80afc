import { AuthError } from '../../errors.ts'

/** Bounds of a map; an entry that does not fit is refused, because evicting another would sign somebody out. */
export interface MemoryBounds {
  readonly maxEntries: number
  readonly maxBytes: number
}

/** Returns monotonic milliseconds. */
export type MonotonicClock = () => number

interface Entry<T> {
  readonly value: T
  readonly bytes: number
  expiresAtMs: number
}

/** Map whose entries expire and whose size is bounded by count and bytes. */
export interface ExpiringMap<T> {
  get(key: string): Entry<T> | undefined
  /** Throws `AuthError` `store_unavailable` when the entry does not fit. */
  set(key: string, value: T, bytes: number, ttlMs: number): void
  delete(key: string): void
  /** Returns the keys of the entries that have not expired. */
  keys(): readonly string[]
}

/** Bytes counted for each entry beside its value. */
export const ENTRY_OVERHEAD_BYTES = 200
const SWEEP_INTERVAL_MS = 60_000
/** Shortest time between two sweeps, also of a full map. */
const SWEEP_PAUSE_MS = 1000

/** Creates a map that sweeps expired entries once a minute, and sooner where it is full. */
export function createExpiringMap<T>(bounds: MemoryBounds, now: MonotonicClock): ExpiringMap<T> {
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
