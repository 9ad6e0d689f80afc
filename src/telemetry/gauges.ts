import { Counter, Gauge, type Registry } from 'prom-client'
import { addRedisGauges, type GaugedRedis } from './redis-gauges.ts'

/** Values that gauges read whenever `/metrics` is read. */
export interface Observed {
  readonly cachedSessions: () => number
  /** Returns the memory that the cached sessions take. */
  readonly cachedBytes: () => number
  readonly isProviderDiscovered: () => boolean
  readonly eventStreams: () => number
  /** Returns the number of ended sessions that the store has not been told of yet. */
  readonly revocationsWaiting: () => number
  /** Returns the number of dropped log lines; absent where none can be dropped. */
  readonly logLinesDropped?: () => number
  /** Returns the life of the internal listener's certificate; absent without TLS. */
  readonly certificate?: () => CertificateLife
  /** Resolves with the memory limit of the container; `undefined` where there is none. */
  readonly memoryLimitBytes?: () => Promise<number | undefined>
  /** Absent in memory mode. */
  readonly redis: GaugedRedis | undefined
}

interface CertificateLife {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Adds the gauges, and the counters that are counted elsewhere. */
export function addGauges(registry: Registry, observed: Observed): void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
    new Gauge({
      name: `vestibule_${name}`,
      help,
      registers,
      async collect() {
        this.set(await read())
      },
    })
  gauge('l1_sessions', 'Sessions in the session cache', observed.cachedSessions)
  gauge('l1_bytes', 'Memory that the sessions in the session cache take', observed.cachedBytes)
  gauge('event_streams', 'Open streams to pages', observed.eventStreams)
  gauge('provider_discovered', '1 when the provider has been discovered', () =>
    observed.isProviderDiscovered() ? 1 : 0,
  )
  gauge(
    'revocations_waiting',
    'Ended sessions that Redis has not been told of yet',
    observed.revocationsWaiting,
  )
  const observedCounter = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `vestibule_${name}_total`,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  observedCounter(
    'log_lines_dropped',
    'Log lines dropped because they were not read in time or could not be written',
    () => observed.logLinesDropped?.() ?? 0,
  )
  gauge(
    'memory_limit_bytes',
    'Memory limit of the container, +Inf where there is none',
    async () => (await observed.memoryLimitBytes?.()) ?? Number.POSITIVE_INFINITY,
  )
  const { certificate } = observed
  if (certificate) {
    gauge(
      'internal_tls_certificate_not_before_seconds',
      'Begin of the internal listener’s certificate, in seconds since 1970',
      () => certificate().notBeforeMs / 1000,
    )
    gauge(
      'internal_tls_certificate_not_after_seconds',
      'End of the internal listener’s certificate, in seconds since 1970',
      () => certificate().notAfterMs / 1000,
    )
  }
  if (observed.redis) addRedisGauges(registry, observed.redis)
}
