import type { Breaker } from '../redis/breaker.ts'
import type { Examination } from '../redis/examine/examine.ts'
import type { Backplane } from '../replicas/backplane.ts'
import type { Fleet } from '../replicas/fleet.ts'
import type { BackplaneMessage } from '../replicas/message.ts'
import type { DenyList } from './deny-list.ts'
import type { Generations } from './generations.ts'
import type { Locks } from './locks.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import type { SessionIndex } from './session-index.ts'
import type { Settling } from './settling.ts'
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
  /** Tells these listeners, in place of earlier ones, of all that happens from now on. */
  subscribe(listeners: StateListeners): void
  close(): Promise<void>
}

/** What the rest of the service does about news of the shared state. */
export interface StateListeners {
  /** Called when Redis can be used again, after it has been tried. */
  readonly onReattached: () => void
  /** Called when Redis comes back with other data. */
  readonly onDatasetChanged: () => void
  /** Called when Redis comes back as another process, which may have older data. */
  readonly onAnotherServer: () => void
  readonly onMessage: (message: BackplaneMessage) => void
  /** Called for a message that this version does not understand: anything may have changed. */
  readonly onUnknownMessage: () => void
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
