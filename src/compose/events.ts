import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { createBroadcastCodec } from '../events/broadcast-codec.ts'
import { type Broadcasts, createBroadcasts } from '../events/broadcasts.ts'
import { createStreams, type Streams } from '../events/streams.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** Streams to open pages, and the broadcasts that they write. */
export interface Events {
  readonly streams: Streams
  readonly broadcasts: Broadcasts
}

export interface ComposeEventsOptions {
  readonly config: Config
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly ring: KeyRing
  readonly state: SharedState
}

const MAX_STREAMS = 10_000

/** Makes the streams of this replica. */
export function composeEvents({ config, metrics, now, ring, state }: ComposeEventsOptions): Events {
  const { settings } = config
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
    maxStreams: MAX_STREAMS,
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT.ms,
    isHearing: () => state.backplane.subscription !== undefined,
    now,
    onRefused: () => metrics.streamRefused(),
    onClosed: (reason) => metrics.streamClosed(reason),
    onSent: (kind, count) => metrics.eventsSent(kind, count),
  })
  return { streams, broadcasts }
}
