import type { OneTimeKeys } from '../one-time-keys.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

/** Creates one-time keys that this process alone knows. */
export function createMemoryOneTimeKeys(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): OneTimeKeys {
  const attempts = createExpiringMap<string>(bounds, now)
  return {
    async consume(kind, key, attemptId, ttlMs) {
      const name = `${kind}:${key}`
      const known = attempts.get(name)?.value
      if (known !== undefined) return known === attemptId
      attempts.set(name, attemptId, name.length + attemptId.length, ttlMs)
      return true
    },
    async extend(kind, key, attemptId, ttlMs) {
      const entry = attempts.get(`${kind}:${key}`)
      if (entry?.value !== attemptId) return false
      entry.expiresAtMs = now() + ttlMs
      return true
    },
    async release(kind, key, attemptId) {
      const name = `${kind}:${key}`
      if (attempts.get(name)?.value === attemptId) attempts.delete(name)
    },
  }
}
