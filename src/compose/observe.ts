import type { Streams } from '../events/streams.ts'
import type { SharedState } from '../store/shared-state.ts'
import { readContainerLimit } from '../telemetry/container-limit.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { KeptCertificate } from './internal-tls.ts'
import type { Oidc } from './oidc.ts'
import type { ComposedSessions } from './sessions.ts'

export interface ObservedService {
  readonly log: Log
  readonly metrics: Metrics
  readonly certificate: KeptCertificate | undefined
  readonly state: SharedState
  readonly oidc: Oidc
  readonly sessions: ComposedSessions
  readonly streams: Pick<Streams, 'size'>
}

/** Lets the metrics read the state of the parts whenever Prometheus asks. */
export function observeService(parts: ObservedService): void {
  const { log, metrics, certificate, state, oidc, sessions, streams } = parts
  metrics.observe({
    cachedSessions: () => sessions.cache.size,
    cachedBytes: () => sessions.cache.bytes,
    eventStreams: () => streams.size,
    isProviderDiscovered: () => oidc.provider.isDiscovered,
    revocationsWaiting: () => sessions.sessions.revocations.waiting,
    logLinesDropped: () => log.droppedLines?.() ?? 0,
    memoryLimitBytes: () => readContainerLimit(),
    ...(certificate && { certificate: () => certificate.current() }),
    redis: state.redis,
  })
}
