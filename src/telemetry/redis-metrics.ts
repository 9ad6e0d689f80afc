import { Counter, Registry } from 'prom-client'
import { createPlainHistogram, type Observe } from './plain-histogram.ts'

export interface RedisMetrics {
  redisFailure(failure: string): void
  readonly redisLatency: Observe
  breakerChanged(name: string, state: string): void
  /** Counts a request let in during an outage by what was known before it. */
  degradedDecision(reason: keyof typeof DEGRADED_USES): void
  /** Observes the time from the publication of a message to its effect on this replica. */
  readonly backplaneApplied: Observe
  datasetChanged(): void
  revocationsFlushed(count: number): void
}

/** Kind of decision, by what stood in for Redis. */
const DEGRADED_USES = { l1: 'session', assertion: 'session', 'deny-list': 'bearer' } as const
const DELAY_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const LATENCY_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1]

/** Creates the metrics of Redis and the other replicas; they are registered only where `hasRedis`. */
export function createRedisMetrics(shown: Registry, hasRedis: boolean): RedisMetrics {
  const registry = hasRedis ? shown : new Registry()
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `vestibule_${name}_total`, help, labelNames, registers })
  const histogram = (name: string, help: string, limits: readonly number[]) =>
    createPlainHistogram(registry, `vestibule_${name}_seconds`, help, limits)
  const failures = counter('redis_errors', 'Failures of Redis by class', ['class'])
  const redisLatency = histogram('redis_latency', 'Time that reads took', LATENCY_BUCKETS)
  const changes = counter('circuit_breaker_changes', 'Changes of the circuit breakers', [
    'breaker',
    'state',
  ])
  const degraded = counter(
    'degraded_decisions',
    'Requests let in during an outage by what was known before it',
    ['use', 'reason'],
  )
  for (const [reason, use] of Object.entries(DEGRADED_USES)) degraded.inc({ use, reason }, 0)
  const backplaneApplied = histogram(
    'backplane_delay',
    'Time from the publication of a message to its effect on this replica',
    DELAY_BUCKETS,
  )
  const datasets = counter('redis_dataset_changes', 'Times Redis came back with other data')
  const flushed = counter(
    'revocations_flushed',
    'Sessions ended during an outage of Redis that it has been told of since',
  )
  return {
    redisFailure: (failure) => failures.inc({ class: failure }),
    redisLatency,
    breakerChanged: (breaker, state) => changes.inc({ breaker, state }),
    degradedDecision: (reason) => degraded.inc({ use: DEGRADED_USES[reason], reason }),
    backplaneApplied,
    datasetChanged: () => datasets.inc(),
    revocationsFlushed: (count) => flushed.inc(count),
  }
}
