import { SETTLED } from '../settling.ts'
import type { SharedState } from '../shared-state.ts'
import { createMemoryDenyList } from './deny-list.ts'
import type { MemoryBounds } from './expiring-map.ts'
import { createMemoryGenerations } from './generations.ts'
import { createMemoryLocks } from './locks.ts'
import { createMemoryOneTimeKeys } from './one-time-keys.ts'
import { createMemorySessionIndex } from './session-index.ts'
import { createMemoryStore } from './store.ts'

/** Bounds of what grows with the number of sessions and sign-ins; each has defaults for a roomy machine. */
export interface MemoryStateBounds {
  readonly store?: MemoryBounds
  readonly index?: MemoryBounds
  readonly markers?: MemoryBounds
}

/** Opens the shared state of a single process, which is lost with it. */
export function openMemoryState(bounds: MemoryStateBounds = {}): SharedState {
  return {
    store: createMemoryStore(bounds.store),
    oneTimeKeys: createMemoryOneTimeKeys(bounds.markers),
    locks: createMemoryLocks(),
    sessionIndex: createMemorySessionIndex(bounds.index),
    generations: createMemoryGenerations(),
    denyList: createMemoryDenyList(),
    backplane: { subscription: 0, publish: async () => undefined },
    firstAttempt: Promise.resolve(),
    isAvailable: true,
    settling: SETTLED,
    subscribe: () => undefined,
    leave: () => undefined,
    close: async () => undefined,
  }
}
