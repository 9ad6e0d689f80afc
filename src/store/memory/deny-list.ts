import type { DenyList } from '../deny-list.ts'
import type { MonotonicClock } from './expiring-map.ts'

/** Creates a deny list that is lost with this process. */
export function createMemoryDenyList(now: MonotonicClock = () => performance.now()): DenyList {
  const endsAtMs = new Map<string, number>()
  const left = (token: string) => (endsAtMs.get(token) ?? 0) - now()
  return {
    async add(token, ttlMs) {
      endsAtMs.set(token, now() + Math.max(ttlMs, left(token)))
    },
    async list() {
      for (const token of endsAtMs.keys()) if (left(token) <= 0) endsAtMs.delete(token)
      return [...endsAtMs.keys()].map((token) => ({ token, leftMs: left(token) }))
    },
  }
}
