import type { Counted, Outgoing } from '../../http/request.ts'
import type { CheckOutcome, CheckSource, Metrics } from '../../telemetry/metrics.ts'

/** Count of one check, taken when its answer is sent. */
interface CountedCheck extends Counted {
  readonly outcome: CheckOutcome
  readonly source: CheckSource
  readonly startedAtMs: number
}

/** Counts a check when its status is sent, because writing the head may fail and turn it into a 500 (finding C10). */
export type CountWhenSent = (
  outgoing: Outgoing,
  outcome: CheckOutcome,
  source: CheckSource,
  startedAtMs: number,
) => void

/** Creates the function that notes start, outcome and source on the response, to be counted with its status. */
export function createCheckCount(metrics: Pick<Metrics, 'check'>): CountWhenSent {
  /** Runs for every check with its record as `this`, because a closure would keep the request alive. */
  function countAs(this: CountedCheck, status: number): void {
    const seconds = (performance.now() - this.startedAtMs) / 1000
    metrics.check(status === 500 ? 'unavailable' : this.outcome, this.source, seconds)
  }

  return (outgoing, outcome, source, startedAtMs) => {
    const counted: CountedCheck = { countAs, outcome, source, startedAtMs }
    outgoing.counted = counted
  }
}
