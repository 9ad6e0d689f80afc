import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'
import type { Generations } from './generations.ts'

/** Generations of this process. */
export function createMemoryGenerations(
  bounds: MemoryBounds = { maxEntries: 100_000, maxBytes: 16 * 1024 * 1024 },
  now: MonotonicClock = () => performance.now(),
): Generations {
  const oldest = createExpiringMap<number>(bounds, now)
  let generation = 0
  let oldestOfAll = 0
  return {
    current: async () => generation,
    async advance(owner, ttlMs) {
      generation++
      if (owner === undefined) oldestOfAll = generation
      else oldest.set(owner, generation, owner.length, ttlMs)
    },
    oldestOf: async (...owners) =>
      Math.max(oldestOfAll, ...owners.map((owner) => oldest.get(owner)?.value ?? 0)),
  }
}
