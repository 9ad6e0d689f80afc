import { failureOf, type RedisFailure, TopologyError } from '../failure.ts'

/** Who wants to know whether a failover would be noticed. */
export interface SentinelObserver {
  /**
   * Called when the primary is there and none of its Sentinels can be asked any more, and when the reason is another one
   * than before.
   */
  readonly onSentinelsAway?: (failure: RedisFailure, reason?: string) => void
  readonly onSentinelsBack?: () => void
  /** Called for every round of questions that got no answer. */
  readonly onFailure: (failure: RedisFailure) => void
}

/** What came of asking the Sentinels again and again. */
export interface SentinelSightings {
  readonly see: (sighting: { readonly epoch: number; readonly isOfAll: boolean }) => void
  /** Latest epoch that a Sentinel has named. */
  readonly epoch: number
  readonly lose: (cause: unknown) => void
}

/** One round without an answer may be connections that were closed, which are opened anew for the next. */
const AWAY_AFTER_ROUNDS = 3

/** Outlives connections: Sentinels that were away are back when they have named a primary. */
export function createSentinelSightings(observer: SentinelObserver): SentinelSightings {
  let rounds = 0
  let told: RedisFailure | undefined
  let latest = 0
  return {
    see({ epoch, isOfAll }) {
      latest = isOfAll ? epoch : Math.max(latest, epoch)
      rounds = 0
      if (told !== undefined) observer.onSentinelsBack?.()
      told = undefined
    },
    get epoch() {
      return latest
    },
    lose(cause) {
      const failure = failureOf(cause)
      observer.onFailure(failure)
      rounds += 1
      if (rounds < AWAY_AFTER_ROUNDS || failure === told) return
      told = failure
      observer.onSentinelsAway?.(
        failure,
        cause instanceof TopologyError ? cause.message : undefined,
      )
    },
  }
}
