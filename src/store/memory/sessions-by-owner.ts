import type { Owners, SessionsByOwner } from '../sessions-by-owner.ts'
import {
  createExpiringMap,
  ENTRY_OVERHEAD_BYTES,
  type MemoryBounds,
  type MonotonicClock,
} from './expiring-map.ts'

/** Creates an index of sessions by owner that is lost with this process. */
export function createMemorySessionsByOwner(
  bounds: MemoryBounds,
  now: MonotonicClock = () => performance.now(),
): SessionsByOwner {
  const owned = createExpiringMap<ReadonlyMap<string, number>>(bounds, now)
  const keysOf = (owners: Partial<Owners>) =>
    Object.entries(owners).map(([kind, owner]) => `${kind}:${owner}`)
  const alive = (key: string) =>
    [...(owned.get(key)?.value ?? [])].filter(([, endsAtMs]) => endsAtMs > now())
  const keep = (key: string, entries: readonly (readonly [string, number])[]) => {
    const lastEndMs = Math.max(...entries.map(([, endsAtMs]) => endsAtMs))
    owned.set(key, new Map(entries), entries.length * ENTRY_OVERHEAD_BYTES, lastEndMs - now())
  }
  const keepOnly = (key: string, isKept: (entry: readonly [string, number]) => boolean) => {
    const others = alive(key).filter(isKept)
    if (others.length > 0) keep(key, others)
    else owned.delete(key)
  }
  return {
    async add(digest, owners, ttlMs) {
      for (const key of keysOf(owners)) keep(key, [...alive(key), [digest, now() + ttlMs]])
    },
    list: async (kind, owner) => alive(`${kind}:${owner}`).map(([digest]) => digest),
    async remove(digest, owners) {
      for (const key of keysOf(owners)) keepOnly(key, ([each]) => each !== digest)
    },
    async removeLost({ kind, id }, digests, withinMs) {
      const lost = new Set(digests)
      keepOnly(
        `${kind}:${id}`,
        ([each, endsAtMs]) => !lost.has(each) || endsAtMs > now() + withinMs,
      )
    },
  }
}
