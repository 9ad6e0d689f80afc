import type { ConsumptionAttempt, OneTimeKeys } from '../one-time-keys.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

/** Creates one-time keys that this process alone knows. */
export function createMemoryOneTimeKeys(
  bounds: MemoryBounds,
  now: MonotonicClock = () => performance.now(),
): OneTimeKeys {
  const attempts = createExpiringMap<string>(bounds, now)
  const nameOf = ({ kind, key }: ConsumptionAttempt) => `${kind}:${key}`
  return {
    async consume(attempt, ttlMs) {
      const name = nameOf(attempt)
      const { attemptId } = attempt
      const known = attempts.get(name)?.value
      if (known !== undefined) return known === attemptId
      attempts.set(name, attemptId, name.length + attemptId.length, ttlMs)
      return true
    },
    async extend(attempt, ttlMs) {
      const entry = attempts.get(nameOf(attempt))
      if (entry?.value !== attempt.attemptId) return false
      entry.expiresAtMs = now() + ttlMs
      return true
    },
    async release(attempt) {
      const name = nameOf(attempt)
      if (attempts.get(name)?.value === attempt.attemptId) attempts.delete(name)
    },
  }
}
