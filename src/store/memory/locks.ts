import { type Lease, type Locks, lockValueOf, ownerPart } from '../locks.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

/** Creates locks that this process alone knows. */
export function createMemoryLocks(
  bounds: MemoryBounds,
  now: MonotonicClock = () => performance.now(),
): Locks {
  const values = createExpiringMap<string>(bounds, now)
  const isOf = (value: string | undefined, owner: string) =>
    value?.startsWith(ownerPart(owner)) === true
  const put = (digest: string, lease: Lease) => {
    const value = lockValueOf(lease)
    values.set(digest, value, digest.length + value.length, lease.ttlMs)
  }
  return {
    async acquire(digest, lease) {
      const value = values.get(digest)?.value
      if (value === undefined) put(digest, lease)
      return value === undefined || isOf(value, lease.owner)
        ? { isOurs: true }
        : { isOurs: false, value }
    },
    async takeOver(digest, lease, seenValue) {
      if (values.get(digest)?.value !== seenValue) return false
      put(digest, lease)
      return true
    },
    async hold(digest, lease, revive = false) {
      const value = values.get(digest)?.value
      if (value === undefined ? !revive : !isOf(value, lease.owner)) return false
      put(digest, lease)
      return true
    },
    async release(digest, owner) {
      if (isOf(values.get(digest)?.value, owner)) values.delete(digest)
    },
  }
}
