import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'
import type { Locks } from './locks.ts'
import type { OneTimeKeys } from './one-time-keys.ts'

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
