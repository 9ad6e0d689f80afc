import type { Counted, Outgoing } from '../../http/request.ts'
import type { CheckOutcome, CheckSource, Metrics } from '../../telemetry/metrics.ts'

/** Record of one check, which is counted when its answer is sent. */
export interface CheckCount extends Counted {
  outcome: CheckOutcome
  source: CheckSource
  readonly startedAtMs: number
}

/** Starts the count of a check; until its answer is known it counts as unavailable. */
export type StartCount = (outgoing: Outgoing) => CheckCount

/**
 * Creates the function that leaves a record on the response, to be counted with the status that is sent, because writing
 * the head may fail and turn it into a 500 (finding C10).
 */
export function createCheckCount(metrics: Pick<Metrics, 'check'>): StartCount {
  /** Runs for every check with its record as `this`, because a closure would keep the request alive. */
  function countAs(this: CheckCount, status: number): void {
    const seconds = (performance.now() - this.startedAtMs) / 1000
    metrics.check(status === 500 ? 'unavailable' : this.outcome, this.source, seconds)
  }

  return (outgoing) => {
    const startedAtMs = performance.now()
    const count: CheckCount = { countAs, outcome: 'unavailable', source: 'none', startedAtMs }
    outgoing.counted = count
    return count
  }
}
