import { describeFailure, type FailureReport } from '../describe-failure.ts'
import type { RedisFailure } from '../failure.ts'

/** Callbacks about Sentinels, without which a failover would go unnoticed. */
export interface SentinelObserver {
  /** Called when no Sentinel answers while the primary is connected, and again when the failure is another one. */
  readonly onSentinelsAway?: (report: FailureReport) => void
  readonly onSentinelsBack?: () => void
  /** Called for each round in which no Sentinel answers. */
  readonly onFailure: (failure: RedisFailure) => void
}

/** Latest epoch and availability of the Sentinels. */
export interface SentinelState {
  /** Highest `config-epoch` that a Sentinel has reported; lower only when all Sentinels report a lower one. */
  readonly latestEpoch: number
  readonly onAnswered: (answer: { readonly epoch: number; readonly isFromAll: boolean }) => void
  readonly onUnanswered: (cause: unknown) => void
}

/** Rounds without an answer until the Sentinels count as away; in the first, connections may just have been closed. */
const AWAY_AFTER_ROUNDS = 3

/** Creates a state that outlives connections, so that Sentinels are reported back after a reconnect, too. */
export function createSentinelState(observer: SentinelObserver): SentinelState {
  let unansweredRounds = 0
  let reported: RedisFailure | undefined
  let latestEpoch = 0
  return {
    get latestEpoch() {
      return latestEpoch
    },
    onAnswered({ epoch, isFromAll }) {
      latestEpoch = isFromAll ? epoch : Math.max(latestEpoch, epoch)
      unansweredRounds = 0
      if (reported !== undefined) observer.onSentinelsBack?.()
      reported = undefined
    },
    onUnanswered(cause) {
      const report = describeFailure(cause)
      const { failure } = report
      observer.onFailure(failure)
      unansweredRounds += 1
      if (unansweredRounds < AWAY_AFTER_ROUNDS || failure === reported) return
      reported = failure
      observer.onSentinelsAway?.(report)
    },
  }
}
