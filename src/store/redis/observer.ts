import type { BreakerState } from '../../redis/breaker.ts'
import type { FailureReport } from '../../redis/describe-failure.ts'
import type { Examination } from '../../redis/examine/examine.ts'
import type { RedisFailure } from '../../redis/failure.ts'
import type { SentinelObserver } from '../../redis/sentinel/sentinel-state.ts'
import type { FleetFinding } from '../../replicas/differences.ts'

/** Callbacks about Redis and the other replicas, for log and metrics. */
export interface RedisObserver extends SentinelObserver {
  readonly onConnected: () => void
  readonly onDisconnected: (report: FailureReport) => void
  readonly onStillAway: (report: FailureReport) => void
  readonly onFailure: (failure: RedisFailure) => void
  readonly onExamined: (examination: Examination) => void
  readonly onRead: (seconds: number) => void
  readonly onBreaker: (name: 'read' | 'write', state: BreakerState) => void
  readonly onDatasetChanged: () => void
  /** Called when only the connection that receives the messages of other replicas is lost. */
  readonly onBackplaneAway: (report: FailureReport) => void
  /** Called once for each other installation on this Redis. */
  readonly onOtherInstallation: (place: string, ownPlace: string) => void
  readonly onBackplane: (isHealthy: boolean) => void
  readonly onUnknownMessage: () => void
  readonly onApplied: (delayMs: number) => void
  /** Called with how other replicas differ whenever one has announced itself. */
  readonly onFleet: (findings: readonly FleetFinding[]) => void
}
