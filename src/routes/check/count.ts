import type { Counted, Outgoing } from '../../http/request.ts'
import type { CheckOutcome, CheckSource, Metrics } from '../../telemetry/metrics.ts'

/** One check, as it is counted when its answer is sent. */
interface CountedCheck extends Counted {
  readonly outcome: CheckOutcome
  readonly source: CheckSource
  readonly startedAtMs: number
}

/** Counts a check by the status that is sent, since writing the head may fail (finding C10). */
export type CountWhenSent = (
  outgoing: Outgoing,
  outcome: CheckOutcome,
  source: CheckSource,
  startedAtMs: number,
) => void

export function createCheckCount(metrics: Pick<Metrics, 'check'>): CountWhenSent {
  /** Shared by all checks; the record it is called on holds what is particular to one. */
  function countAs(this: CountedCheck, status: number): void {
    const seconds = (performance.now() - this.startedAtMs) / 1000
    metrics.check(status === 500 ? 'unavailable' : this.outcome, this.source, seconds)
  }

  return (outgoing, outcome, source, startedAtMs) => {
    const counted: CountedCheck = { countAs, outcome, source, startedAtMs }
    outgoing.counted = counted
  }
}
