import { SETTLED } from '../settling.ts'
import type { SharedState } from '../shared-state.ts'
import { createMemoryDenyList } from './deny-list.ts'
import { createMemoryEventLog } from './event-log.ts'
import type { MemoryBounds } from './expiring-map.ts'
import { createMemoryGenerations } from './generations.ts'
import { createMemoryLocks } from './locks.ts'
import { createMemoryOneTimeKeys } from './one-time-keys.ts'
import { createMemorySessionsByOwner } from './sessions-by-owner.ts'
import { createMemoryStore } from './store.ts'

/** Bounds of what grows with the number of sessions, sign-ins, renewals and sign-outs. */
export type MemoryStateBounds = Readonly<
  Record<'store' | 'index' | 'markers' | 'locks' | 'generations', MemoryBounds>
>

/** Opens the shared state of a single process, which is lost with it. */
export function openMemoryState(bounds: MemoryStateBounds): SharedState {
  return {
    store: createMemoryStore(bounds.store),
    oneTimeKeys: createMemoryOneTimeKeys(bounds.markers),
    locks: createMemoryLocks(bounds.locks),
    sessionsByOwner: createMemorySessionsByOwner(bounds.index),
    generations: createMemoryGenerations(bounds.generations),
    denyList: createMemoryDenyList(),
    eventLog: createMemoryEventLog(),
    backplane: { subscription: 0, publish: async () => undefined },
    firstAttempt: Promise.resolve(),
    isAvailable: true,
    settling: SETTLED,
    subscribe: () => undefined,
    announce: () => undefined,
    leave: () => undefined,
    close: async () => undefined,
  }
}
