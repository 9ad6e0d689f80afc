import type { Breaker } from '../redis/breaker.ts'
import type { Examination } from '../redis/examine/examine.ts'
import type { Backplane } from '../replicas/backplane.ts'
import type { Fleet } from '../replicas/fleet.ts'
import type { DenyList } from './deny-list.ts'
import type { Generations } from './generations.ts'
import type { Locks } from './locks.ts'
import { createMemoryDenyList } from './memory/deny-list.ts'
import { createMemoryGenerations } from './memory/generations.ts'
import { createMemoryLocks, createMemoryOneTimeKeys } from './memory/marks.ts'
import { createMemorySessionIndex, createMemoryStore } from './memory/store.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import type { SessionIndex } from './session-index.ts'
import { SETTLED, type Settling } from './settling.ts'
import type { Store } from './store.ts'

/** What replicas share, or what one process keeps for itself: the same ports either way. */
export interface SharedPorts {
  readonly store: Store
  readonly oneTimeKeys: OneTimeKeys
  readonly locks: Locks
  readonly sessionIndex: SessionIndex
  readonly generations: Generations
  readonly denyList: DenyList
}

export interface SharedState extends SharedPorts {
  readonly backplane: Backplane
  /** Absent where there is no Redis. */
  readonly redis?: ObservedRedis
  /** Resolves when the first attempt to connect has ended, either way. */
  readonly firstAttempt: Promise<void>
  /** Whether there is any use in asking. */
  readonly isAvailable: boolean
  readonly settling: Settling
  close(): Promise<void>
}

/** What can be told of the Redis behind it, for health and metrics. */
export interface ObservedRedis {
  readonly isConnected: boolean
  readonly commandsInFlight: number
  readonly breakers: Readonly<Record<'read' | 'write', Pick<Breaker, 'state' | 'failures'>>>
  readonly isBackplaneHealthy: boolean
  readonly fleet: Pick<Fleet, 'size' | 'findings'>
  /** What the last examination said; nothing until there was one. */
  readonly examination: Examination | undefined
  /** Milliseconds that a read takes just now; nothing when there is no answer. */
  measureLatency(): Promise<number | undefined>
}

/** Sessions and marks of one process, gone with it. */
export function openMemoryState(): SharedState {
  return {
    store: createMemoryStore(),
    oneTimeKeys: createMemoryOneTimeKeys(),
    locks: createMemoryLocks(),
    sessionIndex: createMemorySessionIndex(),
    generations: createMemoryGenerations(),
    denyList: createMemoryDenyList(),
    backplane: { epoch: 0, publish: async () => undefined },
    firstAttempt: Promise.resolve(),
    isAvailable: true,
    settling: SETTLED,
    close: async () => undefined,
  }
}
