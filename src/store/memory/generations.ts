import type { Generations, Moment } from '../generations.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

/** Longest lifetime of an order, because only a sign-in or renewal that is under way compares itself with it. */
const ORDER_MS = 15 * 60 * 1000

/** Creates generations for a single process, where a counter tells before from after without a clock. */
export function createMemoryGenerations(
  bounds: MemoryBounds,
  now: MonotonicClock = () => performance.now(),
): Generations {
  const oldest = createExpiringMap<number>(bounds, now)
  let generation = 0
  let oldestOfAll = 0
  const moment = () => ({ atMs: now(), generation: ++generation, uncertainty: 0 })
  const knownFrom = (asked: Moment) => asked.generation ?? generation
  return {
    current: async () => generation,
    moment,
    knownFrom,
    isAhead: () => false,
    from: async (asked) => knownFrom(asked),
    async advance(owner, ttlMs, asked = moment()) {
      const from = knownFrom(asked)
      if (owner === undefined) oldestOfAll = Math.max(oldestOfAll, from)
      else {
        const latest = Math.max(oldest.get(owner)?.value ?? 0, from)
        oldest.set(owner, latest, owner.length, Math.min(ttlMs, ORDER_MS))
      }
      return from
    },
    oldestOf: async (...owners) =>
      Math.max(oldestOfAll, ...owners.map((owner) => oldest.get(owner)?.value ?? 0)),
  }
}
