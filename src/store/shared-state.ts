import type { Breaker } from '../redis/breaker.ts'
import type { FailureReport } from '../redis/describe-failure.ts'
import type { Examination } from '../redis/examine/examine.ts'
import type { FindingCode } from '../redis/examine/finding.ts'
import type { Backplane } from '../replicas/backplane.ts'
import type { Fleet } from '../replicas/fleet.ts'
import type { BackplaneMessage } from '../replicas/message.ts'
import type { DenyList } from './deny-list.ts'
import type { EventLog } from './event-log.ts'
import type { Generations } from './generations.ts'
import type { Locks } from './locks.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import type { SessionsByOwner } from './sessions-by-owner.ts'
import type { Settling } from './settling.ts'
import type { Store } from './store.ts'

/** Ports of the state that replicas share in Redis, or that one process keeps in memory. */
export interface SharedPorts {
  readonly store: Store
  readonly oneTimeKeys: OneTimeKeys
  readonly locks: Locks
  readonly sessionsByOwner: SessionsByOwner
  readonly generations: Generations
  readonly denyList: DenyList
  readonly eventLog: EventLog
}

/** State of all replicas: the ports, the backplane, and whether the store can be used now. */
export interface SharedState extends SharedPorts {
  readonly backplane: Backplane
  /** Redis for health and metrics; absent in memory mode. */
  readonly redis?: ObservedRedis
  /** Resolves when the first attempt to connect has succeeded or failed. */
  readonly firstAttempt: Promise<void>
  /** Whether a command may succeed: connected or connecting, and no breaker open. */
  readonly isAvailable: boolean
  readonly settling: Settling
  /** Replaces the listeners. */
  subscribe(listeners: StateListeners): void
  /** Announces this replica to the others at once, because what they compare has changed. */
  announce(): void
  /** Says goodbye to the other replicas; the state can still be used. */
  leave(): void
  close(): Promise<void>
}

/** Callbacks for changes of the shared state. */
export interface StateListeners {
  /** Called when Redis is connected again and has been probed. */
  readonly onReattached: () => void
  /** Called when Redis comes back with other data. */
  readonly onDatasetChanged: () => void
  /** Called when Redis comes back as another process, whose data may be older. */
  readonly onAnotherServer: () => void
  readonly onMessage: (message: BackplaneMessage) => void
  /** Called when messages of other replicas arrive again, after some may have been missed, and for the first time. */
  readonly onSubscribed: () => void
  /** Called for a message that this version does not understand, after which anything may have changed. */
  readonly onUnknownMessage: () => void
}

/** View of Redis for health and metrics. */
export interface ObservedRedis {
  readonly isConnected: boolean
  /** Whether some primaries of a cluster are disconnected. */
  readonly isPartial: boolean
  /** Cause for which the connection was lost or not opened; `undefined` while connected, in a cluster to all primaries. */
  readonly loss: FailureReport | undefined
  /** Code of the finding that `loss` amounts to, such as a right that is missing; `undefined` for an outage. */
  readonly lossCode: FindingCode | undefined
  readonly commandsInFlight: number
  readonly breakers: Readonly<Record<'read' | 'write', Pick<Breaker, 'state' | 'failures'>>>
  readonly isBackplaneHealthy: boolean
  /** Counterpart of `loss` for the connection that receives the messages of other replicas. */
  readonly backplaneLoss: FailureReport | undefined
  readonly fleet: Pick<Fleet, 'size' | 'findings'>
  /** Latest examination, `undefined` before the first. */
  readonly examination: Examination | undefined
  /** Repeats the examination now. Never rejects. */
  examineAgain(): Promise<void>
  /** Measures one read in milliseconds; resolves with `undefined` without an answer. */
  measureLatency(): Promise<number | undefined>
}
