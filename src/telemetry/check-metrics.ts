import { Counter, type Registry } from 'prom-client'
import { createPlainHistogram } from './plain-histogram.ts'

/** Metrics of the check path, counted in plain numbers and handed to `prom-client` when `/metrics` is read. */
export interface CheckMetrics {
  readonly count: (outcome: string, source: string, seconds: number) => void
  readonly lookUp: (result: LookUp) => void
}

/** Result of a lookup in the session cache; `bypassed` is an entry that was not used because it may be stale. */
export type LookUp = 'hit' | 'miss' | 'bypassed'

interface Tally {
  readonly outcome: string
  readonly source: string
  checks: number
}

const BUCKETS_SECONDS = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.5,
]

export function createCheckMetrics(registry: Registry): CheckMetrics {
  const registers = [registry]
  const tallies = new Map<string, Map<string, Tally>>()
  // `increase()` does not see a series that begins at 1.
  for (const outcome of ['sign_in', 'unavailable']) tallyOf(outcome, 'none')
  const lookUps = { hit: 0, miss: 0, bypassed: 0 }

  void new Counter({
    name: 'vestibule_checks_total',
    help: 'Checks by outcome and by what the answer rests on',
    labelNames: ['outcome', 'source'],
    registers,
    collect() {
      this.reset()
      for (const { outcome, source, checks } of tallies.values().flatMap((each) => each.values())) {
        this.inc({ outcome, source }, checks)
      }
    },
  })
  void new Counter({
    name: 'vestibule_l1_lookups_total',
    help: 'Lookups of sessions in the session cache',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset()
      for (const [result, count] of Object.entries(lookUps)) this.inc({ result }, count)
    },
  })
  const observe = createPlainHistogram(
    registry,
    'vestibule_check_duration_seconds',
    'Time from the arrival of a check to its answer',
    BUCKETS_SECONDS,
  )

  return {
    count(outcome, source, seconds) {
      tallyOf(outcome, source).checks++
      observe(seconds)
    },
    lookUp(result) {
      lookUps[result]++
    },
  }

  function tallyOf(outcome: string, source: string): Tally {
    const bySource = tallies.getOrInsertComputed(outcome, () => new Map<string, Tally>())
    return bySource.getOrInsertComputed(source, () => ({ outcome, source, checks: 0 }))
  }
}
