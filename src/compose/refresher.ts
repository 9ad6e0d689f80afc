import type { RefreshReport, RefreshResult } from '../session/refresh/refresh-once.ts'
import { createSessionRefresher, type SessionRefresher } from '../session/refresh/refresher.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { ComposedOidc } from './oidc.ts'
import type { ComposedSessions } from './sessions.ts'

export interface ComposeRefresherOptions
  extends Pick<ComposedOidc, 'identity' | 'refreshTokens' | 'signIn'>,
    Pick<ComposedSessions, 'state' | 'sessions' | 'codec' | 'renewedRecords' | 'sessionCache'> {
  /** False from the moment that the process is to end. */
  readonly isAccepting: () => boolean
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => number
}

/** Refreshes sessions at the configured provider, and tells log and metrics what comes of it. */
export function composeRefresher(options: ComposeRefresherOptions): SessionRefresher {
  const { state, sessions, signIn, log, metrics } = options
  return createSessionRefresher({
    ...options,
    ...state,
    endSession: (digest) => sessions.end(digest),
    revokeTokens: (tokens) => signIn.revoke(tokens),
    canStore: () => state.isAvailable && options.isAccepting(),
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
