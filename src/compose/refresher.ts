import { createSessionRefresher, type SessionRefresher } from '../session/refresh/refresher.ts'
import type { RefreshReport, RefreshResult } from '../session/refresh/result.ts'
import type { SharedState } from '../store/shared-state.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Oidc } from './oidc.ts'
import type { ComposedSessions } from './sessions.ts'

export interface ComposeRefresherOptions {
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => number
  readonly state: SharedState
  readonly oidc: Oidc
  readonly sessions: ComposedSessions
  /** False from the moment that the process is to end. */
  readonly isAccepting: () => boolean
}

/** Refreshes sessions at the configured provider, and tells log and metrics what comes of it. */
export function composeRefresher(options: ComposeRefresherOptions): SessionRefresher {
  const { log, metrics, now, state, oidc, isAccepting } = options
  const { sessions, cache, codec, renewedRecords } = options.sessions
  return createSessionRefresher({
    store: state.store,
    sessionIndex: state.sessionIndex,
    generations: state.generations,
    locks: state.locks,
    settling: state.settling,
    renewedRecords,
    codec,
    sessionCache: cache,
    identity: oidc.identity,
    refreshTokens: oidc.refreshTokens,
    revokeTokens: (tokens) => oidc.signIn.revoke(tokens),
    endSession: (digest) => sessions.end(digest),
    canStore: () => state.isAvailable && isAccepting(),
    now,
    onResult: createRefreshLog(log, metrics),
    onFault: (cause) =>
      log.error(
        { event: 'refresh_fault', kind: cause instanceof Error ? cause.name : typeof cause },
        'a refresh failed by a fault of Vestibule',
      ),
  })
}

/** The first failure in a row is a line, and so is each session that ends by it; what goes well is counted. */
function createRefreshLog(log: Log, metrics: Metrics) {
  let isFailing = false
  return (result: RefreshResult, { identity, reason }: RefreshReport): void => {
    metrics.refresh(result)
    switch (result) {
      case 'refreshed':
        if (isFailing) log.info({ event: 'refresh_works' }, 'tokens can be refreshed again')
        isFailing = false
        break
      case 'failed':
        if (!isFailing) log.warn({ event: 'refresh_failing', reason }, 'tokens cannot be refreshed')
        isFailing = true
        break
      case 'lost':
        log.error({ event: 'refresh_lost' }, 'refreshed tokens could not be stored')
        break
      default:
        if (!ENDS.has(result)) break
        const user = userDigest(identity.issuer, identity.subject)
        log.info({ event: 'session_not_refreshed', result, reason, user }, 'the session has ended')
    }
  }
}

const ENDS: ReadonlySet<RefreshResult> = new Set(['refused', 'rejected', 'revoked'])
