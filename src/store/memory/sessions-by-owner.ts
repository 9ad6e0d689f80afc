import type { Owners, SessionsByOwner } from '../sessions-by-owner.ts'
import {
  createExpiringMap,
  ENTRY_OVERHEAD_BYTES,
  type MemoryBounds,
  type MonotonicClock,
} from './expiring-map.ts'

/** Sessions of one owner in the order in which they were added, each with its end. */
interface Owned {
  readonly ends: Map<string, number>
  readonly lastEndMs: number
}

/**
 * Creates an index of sessions by owner that is lost with this process. Changes entries in place, because a copy for each
 * of 10,000 sessions of a user would hold up the process for a minute when they end together.
 */
export function createMemorySessionsByOwner(
  bounds: MemoryBounds,
  now: MonotonicClock = () => performance.now(),
): SessionsByOwner {
  const owned = createExpiringMap<Owned>(bounds, now)
  const keysOf = (owners: Partial<Owners>) =>
    Object.entries(owners).map(([kind, owner]) => `${kind}:${owner}`)
  const keep = (key: string, { ends, lastEndMs }: Owned, count: number) =>
    owned.set(key, { ends, lastEndMs }, count * ENTRY_OVERHEAD_BYTES, lastEndMs - now())

  function add(key: string, digest: string, endsAtMs: number): void {
    const { ends, lastEndMs } = owned.get(key)?.value ?? {
      ends: new Map<string, number>(),
      lastEndMs: 0,
    }
    for (const [each, endMs] of ends) {
      if (endMs > now()) break
      ends.delete(each)
    }
    // Refuses before the entry is there, where the index is full.
    const count = ends.size + (ends.has(digest) ? 0 : 1)
    keep(key, { ends, lastEndMs: Math.max(lastEndMs, endsAtMs) }, count)
    ends.set(digest, endsAtMs)
  }

  function remove(key: string, digests: readonly string[]): void {
    const found = owned.get(key)?.value
    if (!found) return
    for (const digest of digests) found.ends.delete(digest)
    if (found.ends.size > 0) keep(key, found, found.ends.size)
    else owned.delete(key)
  }

  return {
    async add(digest, owners, ttlMs) {
      for (const key of keysOf(owners)) add(key, digest, now() + ttlMs)
    },
    async list(kind, owner) {
      const entries = [...(owned.get(`${kind}:${owner}`)?.value.ends ?? [])]
      return entries.flatMap(([digest, endsAtMs]) => (endsAtMs > now() ? [digest] : []))
    },
    async remove(digest, owners) {
      for (const key of keysOf(owners)) remove(key, [digest])
    },
    async removeLost({ kind, id }, digests, withinMs) {
      const key = `${kind}:${id}`
      const ends = owned.get(key)?.value.ends
      const isLost = (digest: string) => (ends?.get(digest) ?? 0) <= now() + withinMs
      remove(key, digests.filter(isLost))
    },
  }
}
