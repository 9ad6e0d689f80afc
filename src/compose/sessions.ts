import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { templateBytes } from '../core/identity-headers.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import type { Streams } from '../events/streams.ts'
import { keepFlushing } from '../session/keep-flushing.ts'
import { createOutageAssertions, type OutageAssertions } from '../session/outage-assertion.ts'
import { createSessionCodec, type SessionCodec } from '../session/records.ts'
import { createRenewedRecords, type RenewedRecords } from '../session/refresh/renewed-records.ts'
import { createSessionCache, type SessionCache } from '../session/session-cache.ts'
import { createSessions, type Sessions } from '../session/sessions.ts'
import type { SharedState } from '../store/shared-state.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { cacheBounds } from './memory-budget.ts'

/** Sessions and the parts that other code shares with them. */
export interface ComposedSessions {
  readonly sessions: Sessions
  readonly cache: SessionCache
  readonly codec: SessionCodec
  readonly renewedRecords: RenewedRecords
  readonly outageAssertions: OutageAssertions
  /** Time after the last confirmation by the store for which a session stays usable without the store; 0 = off. */
  readonly outageGraceMs: number
  /** Stops flushing and tells the store once more what is waiting. */
  readonly close: () => Promise<void>
}

export interface ComposeSessionsOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly ring: KeyRing
  readonly state: SharedState
  readonly streams: Pick<Streams, 'end' | 'review'>
}

const MEMORY_SERVED_MS = 5000

export function composeSessions(options: ComposeSessionsOptions): ComposedSessions {
  const { config, log, metrics, now, ring, state, streams } = options
  const { settings, mode } = config
  const outageGraceMs = config.redis ? settings.SESSION_OUTAGE_GRACE.ms : 0
  const cache = createSessionCache({
    ...cacheBounds(config),
    servedMs: mode === 'hybrid' ? settings.REDIS_HYBRID_L1_TTL.ms : MEMORY_SERVED_MS,
    keptMs: outageGraceMs,
    canRecall: mode !== 'redis',
    composedBytes: (identity) => templateBytes(identity, config.identityHeaders),
    subscription: () => state.backplane.subscription,
    onLookUp: (result) => metrics.sessionCacheLookUp(result),
  })
  const codec = createSessionCodec({
    ring,
    keyPrefix: settings.REDIS_KEY_PREFIX,
    onIntegrityFailure: () => metrics.integrityFailure(),
  })
  const outageAssertions = createOutageAssertions({ ring, graceMs: outageGraceMs, now })
  const sessions: Sessions = createSessions({
    store: state.store,
    index: state.sessionsByOwner,
    generations: state.generations,
    codec,
    sessionCache: cache,
    assertions: outageAssertions,
    passedTokens: config.passedTokens,
    canShareReads: mode === 'hybrid',
    maxAgeMs: settings.SESSION_MAX_AGE.ms,
    perUser: settings.SESSIONS_PER_USER,
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT.ms,
    now,
    onExtendFailure: () =>
      log.warn({ event: 'extend_failed' }, 'the idle timeout of a session could not be extended'),
    announceEnded: (digest, reason) =>
      void state.backplane
        .publish({ type: 'session-ended', session: digest, reason })
        // Other replicas hear of the end when the store is told.
        .catch(() => undefined),
    onEnded: (digest, reason) => streams.end(digest, reason),
    onAllDeferred: () =>
      streams.review((digest, session) => sessions.revocations.reasonFor(digest, session)),
    onReplaced: (count, { issuer, subject }) =>
      log.info(
        { event: 'sessions_replaced', count, user: userDigest(issuer, subject) },
        'the oldest sessions of a user were ended because SESSIONS_PER_USER was exceeded',
      ),
    onFlushed(count) {
      metrics.revocationsFlushed(count)
      log.info({ event: 'revocations_flushed', count }, 'ended sessions were written to Redis')
    },
  })
  const flushing = keepFlushing(sessions.revocations)
  return {
    sessions,
    cache,
    codec,
    renewedRecords: createRenewedRecords(state.store),
    outageAssertions,
    outageGraceMs,
    async close() {
      const count = await flushing.stop()
      if (count > 0) {
        log.error(
          { event: 'revocations_lost', count },
          'ended sessions could not be written to Redis before the process stopped',
        )
      }
    },
  }
}
