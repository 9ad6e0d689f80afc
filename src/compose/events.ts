import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { createBroadcastCodec } from '../events/broadcast-codec.ts'
import { type Broadcasts, createBroadcasts } from '../events/broadcasts.ts'
import { createStreams, type Streams } from '../events/streams.ts'
import type { StreamFinding } from '../routes/health.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { sessionBytes, streamBound } from './memory-budget.ts'

/** Streams to open pages, and the broadcasts that they write. */
export interface Events {
  readonly streams: Streams
  readonly broadcasts: Broadcasts
  readonly maxStreams: number
  /** Returns what is wrong with the streams of this replica. */
  readonly findings: () => readonly StreamFinding[]
}

export interface ComposeEventsOptions {
  readonly config: Config
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly ring: KeyRing
  readonly state: SharedState
}

/** Time for which a refused stream is a finding. */
const REFUSED_MS = 60_000

/** Makes the streams of this replica. */
export function composeEvents({ config, metrics, now, ring, state }: ComposeEventsOptions): Events {
  const { settings } = config
  const maxStreams = streamBound(sessionBytes(config))
  let refusedAtMs = Number.NEGATIVE_INFINITY
  const broadcasts = createBroadcasts({
    log: state.eventLog,
    codec: createBroadcastCodec(ring, settings.REDIS_KEY_PREFIX),
    now,
    onBroadcast: (held) => streams.deliver(held),
    onUnreadable: () => metrics.integrityFailure(),
  })
  const streams: Streams = createStreams({
    store: state.store,
    broadcasts,
    maxStreams,
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT.ms,
    isHearing: () => state.backplane.subscription !== undefined,
    now,
    onRefused() {
      refusedAtMs = now()
      metrics.streamRefused()
    },
    onClosed: (reason) => metrics.streamClosed(reason),
    onSent: (kind, count) => metrics.eventsSent(kind, count),
  })
  const message = `streams to open pages were refused within the last minute, because this replica has room for ${maxStreams}: raise --max-old-space-size in NODE_OPTIONS, up to 10,000 streams, or add replicas`
  return {
    streams,
    broadcasts,
    maxStreams,
    findings: () =>
      now() - refusedAtMs < REFUSED_MS ? [{ code: 'streams_refused', message }] : [],
  }
}
