import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { Streams } from '../events/streams.ts'
import { createSessionRefresher, type SessionRefresher } from '../session/refresh/refresher.ts'
import type { RefreshReport, RefreshResult } from '../session/refresh/result.ts'
import type { SharedState } from '../store/shared-state.ts'
import { whereThrown } from '../telemetry/describe-cause.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Oidc } from './oidc.ts'
import type { ComposedSessions } from './sessions.ts'

export interface ComposeRefresherOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly state: SharedState
  readonly oidc: Oidc
  readonly sessions: ComposedSessions
  readonly streams: Pick<Streams, 'renew'>
  /** False once the process is about to end. */
  readonly isAccepting: () => boolean
}

/** Makes the refresher of sessions and reports its results to log and metrics. */
export function composeRefresher(options: ComposeRefresherOptions): SessionRefresher {
  const { config, log, metrics, now, state, oidc, isAccepting } = options
  const { sessions, cache, codec, renewedRecords } = options.sessions
  return createSessionRefresher({
    store: state.store,
    sessionsByOwner: state.sessionsByOwner,
    generations: state.generations,
    locks: state.locks,
    settling: state.settling,
    renewedRecords,
    codec,
    sessionCache: cache,
    identity: oidc.identity,
    passedTokens: config.passedTokens,
    patienceMs: refreshPatienceMs(config),
    refreshTokens: oidc.refreshTokens,
    revokeTokens: (tokens) => oidc.signIn.revoke(tokens),
    endSession: (digest, reason) => sessions.end(digest, reason),
    onRenewed: (digest) => options.streams.renew(digest),
    canStore: () => state.isAvailable && isAccepting(),
    now,
    onResult: createRefreshLog(log, metrics),
    onFault: (cause) =>
      log.error(
        {
          event: 'refresh_fault',
          kind: cause instanceof Error ? cause.name : typeof cause,
          ...whereThrown(cause),
        },
        'a token refresh failed because of an internal error',
      ),
  })
}

/** Returns the time after a token's end without a refresh: none where apps need a valid one. */
export function refreshPatienceMs({ passedTokens, settings }: Config): number {
  return passedTokens.size > 0 ? 0 : settings.SESSION_REFRESH_GRACE.ms
}

/** Counts every result. Logs the first failure in a row, the recovery, and each session that ends. */
function createRefreshLog(log: Log, metrics: Metrics) {
  let isFailing = false
  return (result: RefreshResult, { identity, reason, facts }: RefreshReport): void => {
    metrics.refresh(result)
    switch (result) {
      case 'refreshed':
        if (isFailing) log.info({ event: 'refresh_works' }, 'token refreshes work again')
        isFailing = false
        break
      case 'failed':
        if (!isFailing)
          log.warn({ event: 'refresh_failing', reason, ...facts }, 'token refreshes fail')
        isFailing = true
        break
      case 'lost':
        log.error(
          { event: 'refresh_lost' },
          'refreshed tokens could not be stored: the user must sign in again',
        )
        break
      case 'refused':
      case 'rejected':
      case 'revoked': {
        const user = userDigest(identity.issuer, identity.subject)
        log.info(
          { event: 'session_not_refreshed', result, reason, ...facts, user },
          'the session has ended',
        )
        break
      }
      case 'late':
      case 'gone':
        break
    }
  }
}
