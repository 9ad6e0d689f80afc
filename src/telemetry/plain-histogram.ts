import type { Metric, Registry } from 'prom-client'

/** Observes a value in seconds. */
export type Observe = (seconds: number) => void

/** One line of `/metrics`. */
export interface Value {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Reading {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'histogram'
  readonly read: (name: string) => Value[]
}

/** A histogram in plain numbers; `prom-client`'s own costs more than what it measures. */
export function createPlainHistogram(
  registry: Registry,
  name: string,
  help: string,
  limits: readonly number[],
): Observe {
  const inBucket = limits.map(() => 0)
  let totalSeconds = 0
  let total = 0
  register(registry, {
    name,
    help,
    type: 'histogram',
    read: () => [
      ...cumulative(inBucket).map((value, index) => bucket(name, String(limits[index]), value)),
      bucket(name, '+Inf', total),
      { metricName: `${name}_sum`, labels: {}, value: totalSeconds },
      { metricName: `${name}_count`, labels: {}, value: total },
    ],
  })
  return (seconds) => {
    const index = limits.findIndex((limit) => seconds <= limit)
    if (index !== -1) inBucket[index] = (inBucket[index] ?? 0) + 1
    totalSeconds += seconds
    total++
  }
}

/** To `prom-client` a metric is whatever has a name and answers `get()`; its types know only its own classes. */
export function register(registry: Registry, { name, help, type, read }: Reading): void {
  const metric = {
    name,
    get: () => Promise.resolve({ name, help, type, aggregator: 'sum', values: read(name) }),
  }
  registry.registerMetric(metric as unknown as Metric)
}

function bucket(name: string, le: string, value: number): Value {
  return { metricName: `${name}_bucket`, labels: { le }, value }
}

function cumulative(counts: readonly number[]): number[] {
  let sum = 0
  return counts.map((count) => (sum += count))
}
