import { type Locks, markOf, ownerPart } from '../locks.ts'
import type { OneTimeKeys } from '../one-time-keys.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

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
  const marks = createExpiringMap<string>(bounds, now)
  const isOf = (mark: string | undefined, owner: string) =>
    mark?.startsWith(ownerPart(owner)) === true
  const put = (digest: string, mark: string, ttlMs: number) =>
    marks.set(digest, mark, digest.length + mark.length, ttlMs)
  return {
    async acquire(digest, owner, note, ttlMs) {
      const mark = marks.get(digest)?.value
      if (mark === undefined) put(digest, markOf(owner, note), ttlMs)
      return mark === undefined || isOf(mark, owner) ? { isOurs: true } : { isOurs: false, mark }
    },
    async takeOver(digest, owner, note, ttlMs, mark) {
      if (marks.get(digest)?.value !== mark) return false
      put(digest, markOf(owner, note), ttlMs)
      return true
    },
    async hold(digest, owner, note, ttlMs, revive = false) {
      const mark = marks.get(digest)?.value
      if (mark === undefined ? !revive : !isOf(mark, owner)) return false
      put(digest, markOf(owner, note), ttlMs)
      return true
    },
    async release(digest, owner) {
      if (isOf(marks.get(digest)?.value, owner)) marks.delete(digest)
    },
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
