import type { Config } from '../config/load.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { keepFlushing } from '../session/keep-flushing.ts'
import { createOutageAssertions, type OutageAssertions } from '../session/outage-assertion.ts'
import { createSessionCodec, type SessionCodec } from '../session/records.ts'
import { createRenewedRecords, type RenewedRecords } from '../session/refresh/renewed-records.ts'
import { createSessionCache, type SessionCache } from '../session/session-cache.ts'
import { createSessions, type Sessions } from '../session/sessions.ts'
import type { SharedState } from '../store/shared-state.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** Cache mode, as `/health` names it. */
export type CacheMode = 'memory' | 'redis' | 'hybrid'

/** Sessions, and the parts that other code shares with them. */
export interface ComposedSessions {
  readonly sessions: Sessions
  readonly cache: SessionCache
  readonly codec: SessionCodec
  readonly renewedRecords: RenewedRecords
  readonly outageAssertions: OutageAssertions
  /** Time after its last confirmation for which a session may go on without the store; 0 = not at all. */
  readonly outageGraceMs: number
  /** Tells the store what it has not been told yet. */
  close(): Promise<void>
}

export interface ComposeSessionsOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => number
  readonly ring: KeyRing
  readonly state: SharedState
  readonly mode: CacheMode
}

/** Bounds the cache where every check asks the store, or the store is memory anyway. */
const CACHE = { maxEntries: 20_000, maxBytes: 64 * 1024 * 1024 }
const MEMORY_SERVED_MS = 5000

export function composeSessions(options: ComposeSessionsOptions): ComposedSessions {
  const { config, log, metrics, now, ring, state, mode } = options
  const { settings } = config
  const outageGraceMs = config.redis ? settings.SESSION_OUTAGE_GRACE * 1000 : 0
  const cache = createSessionCache({
    ...(mode === 'hybrid' ? hybridBounds(settings) : CACHE),
    servedMs: mode === 'hybrid' ? settings.REDIS_HYBRID_L1_TTL * 1000 : MEMORY_SERVED_MS,
    keptMs: outageGraceMs,
    canRecall: mode !== 'redis',
    epoch: () => state.backplane.epoch,
    onLookUp: (result) => metrics.sessionCacheLookUp(result),
  })
  const codec = createSessionCodec({
    ring,
    keyPrefix: settings.REDIS_KEY_PREFIX,
    onIntegrityFailure: () => metrics.integrityFailure(),
  })
  const outageAssertions = createOutageAssertions({ ring, graceMs: outageGraceMs, now })
  const sessions = createSessions({
    store: state.store,
    index: state.sessionIndex,
    generations: state.generations,
    codec,
    sessionCache: cache,
    assertions: outageAssertions,
    withAccessToken: settings.PASS_ACCESS_TOKEN || settings.PASS_AUTHORIZATION,
    canShareReads: mode === 'hybrid',
    maxAgeMs: settings.SESSION_MAX_AGE * 1000,
    perUser: settings.SESSIONS_PER_USER,
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT * 1000,
    now,
    onExtendFailure: () =>
      log.warn({ event: 'extend_failed' }, 'an idle session could not be extended'),
    announceEnded: (digest) =>
      void state.backplane
        .publish({ type: 'session-ended', session: digest })
        // They hear of it when the store is told.
        .catch(() => undefined),
    onReplaced: (count, { issuer, subject }) =>
      log.info(
        { event: 'sessions_replaced', count, user: userDigest(issuer, subject) },
        'the oldest sessions of a user were ended: SESSIONS_PER_USER was exceeded',
      ),
    onFlushed(count) {
      metrics.revocationsFlushed(count)
      log.info({ event: 'revocations_flushed', count }, 'Redis was told of sessions that ended')
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
        log.error({ event: 'revocations_lost', count }, 'Redis was never told of ended sessions')
      }
    },
  }
}

function hybridBounds(settings: Config['settings']) {
  return {
    maxEntries: settings.REDIS_HYBRID_L1_SIZE,
    maxBytes: settings.REDIS_HYBRID_L1_MEMORY_MB * 1024 * 1024,
  }
}
