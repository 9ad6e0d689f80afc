import { SETTLED } from '../settling.ts'
import type { SharedState } from '../shared-state.ts'
import { createMemoryDenyList } from './deny-list.ts'
import { createMemoryGenerations } from './generations.ts'
import { createMemoryLocks } from './locks.ts'
import { createMemoryOneTimeKeys } from './one-time-keys.ts'
import { createMemorySessionIndex } from './session-index.ts'
import { createMemoryStore } from './store.ts'

/** Opens the shared state of a single process, which is lost with it. */
export function openMemoryState(): SharedState {
  return {
    store: createMemoryStore(),
    oneTimeKeys: createMemoryOneTimeKeys(),
    locks: createMemoryLocks(),
    sessionIndex: createMemorySessionIndex(),
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
