import { type Locks, markOf, ownerPart } from '../locks.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

/** Creates locks that this process alone knows. */
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
