import { setTimeout as pause } from 'node:timers/promises'
import { allowsDegraded } from '../../core/access/access-rule.ts'
import type { Evidence } from '../../core/decision.ts'
import type { EpochMs } from '../../core/epoch-ms.ts'
import { parseSessionCookie, renewalNeed } from '../../core/session.ts'
import { AuthError } from '../../errors.ts'
import type { FindOptions, FoundSession } from '../../session/find-session.ts'
import { sessionDigest } from '../../session/records.ts'
import type { SessionRefresher } from '../../session/refresh/refresher.ts'
import type { Cause } from '../../session/refresh/result.ts'
import type { PresentedSession } from '../../session/session-cache.ts'
import type { Sessions } from '../../session/sessions.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { waitAtMost } from '../../timing/time-limit.ts'
import type { CheckedRequest } from './checked-request.ts'
import { type FoundEvidence, NOBODY, type PresentedCookie } from './found-evidence.ts'

export interface SessionCheckOptions {
  readonly sessions: Sessions
  readonly refresher: SessionRefresher
  readonly realmOf: (host: string) => string
  /** Time after which a check fails closed with `store_unavailable`, which is never "no session". */
  readonly storeTimeoutMs: number
  /** Time after the access token's end for which a session is accepted while it cannot be refreshed. */
  readonly patienceMs: number
  readonly metrics: Metrics
  readonly now: () => EpochMs
}

/** Time a check waits for an overdue refresh; the whole check has 1.5 s. */
const RENEWAL_WAIT_MS = 1000
/** Pause between looks at the store for the refresh of another replica. */
const RENEWAL_POLL_MS = 100

const UNKNOWN: FoundEvidence = { evidence: { kind: 'none' }, source: 'store' }
const AMBIGUOUS: FoundEvidence = { evidence: { kind: 'ambiguous' }, source: 'none' }

/**
 * Looks a session up in memory, then in the store, then in what may stand in for the store during an outage. On an
 * optional rule nobody waits for a refresh, and whoever cannot be told counts as nobody.
 */
export function createSessionCheck(options: SessionCheckOptions) {
  const { sessions, refresher, metrics } = options
  const { storeTimeoutMs: timeoutMs, patienceMs } = options

  return function checkSession(checked: CheckedRequest): FoundEvidence | Promise<FoundEvidence> {
    const { cookies, request } = checked
    if (cookies.isSessionAmbiguous) return AMBIGUOUS
    const credential = cookies.session && parseSessionCookie(cookies.session)
    if (!credential) return NOBODY
    const realm = options.realmOf(request.site.host)
    const cookie = { credential, realm }
    const recalled = sessions.recall(credential, realm)
    if (recalled) return refreshed(checked, recalled, cookie)
    const reading = readSession(checked, cookie)
    return isOptional(checked) ? reading.catch(nobodyWhileAway) : reading
  }

  function evidenceOf(found: FoundSession, cookie: PresentedCookie): FoundEvidence {
    const { session, source } = found
    const evidence: Evidence = { kind: 'session', session }
    switch (found.source) {
      case 'memory':
      case 'store':
        return { evidence, source, confirmed: { found, cookie } }
      case 'l1':
      case 'assertion':
        metrics.degradedDecision(found.source)
        return { evidence, source }
    }
  }

  function findOptions({ cookies, access }: CheckedRequest): FindOptions {
    if (!allowsDegraded(access)) return { timeoutMs }
    return { timeoutMs, standIn: { assertion: () => cookies.outage } }
  }

  /** Returns `none` during a store outage, because new tokens could not be stored (fault F36). */
  function needOf({ session, source }: FoundSession) {
    switch (source) {
      case 'memory':
      case 'store':
        return renewalNeed(session, options.now(), patienceMs)
      case 'l1':
      case 'assertion':
        return 'none'
    }
  }

  /**
   * Refreshes due tokens in the background, and waits only for overdue ones. An optional rule takes a session with
   * overdue tokens for none until they are refreshed, because a session ends if its provider refuses.
   */
  function refreshed(
    checked: CheckedRequest,
    found: FoundSession,
    cookie: PresentedCookie,
  ): FoundEvidence | Promise<FoundEvidence> {
    const need = needOf(found)
    if (need === 'overdue' && !isOptional(checked)) return waitForRefresh(checked, cookie)
    if (need !== 'none') setImmediate(() => void refresher.refresh(withDigest(cookie)))
    return need === 'overdue' ? NOBODY : evidenceOf(found, cookie)
  }

  async function waitForRefresh(
    checked: CheckedRequest,
    cookie: PresentedCookie,
  ): Promise<FoundEvidence> {
    const presented = withDigest(cookie)
    const { digest } = presented
    const untilMs = performance.now() + RENEWAL_WAIT_MS
    for (;;) {
      await waitAtMost(refresher.refresh(presented), untilMs - performance.now())
      const found = await sessions.find(presented.credential, presented.realm, findOptions(checked))
      if (!found) return UNKNOWN
      if (needOf(found) !== 'overdue') return evidenceOf(found, cookie)
      const isOver = refresher.failureOf(digest) !== undefined || performance.now() > untilMs
      if (isOver) throw notRefreshed(refresher.lastFailureOf(digest))
      await pause(RENEWAL_POLL_MS)
    }
  }

  async function readSession(
    checked: CheckedRequest,
    cookie: PresentedCookie,
  ): Promise<FoundEvidence> {
    const found = await sessions.find(cookie.credential, cookie.realm, findOptions(checked))
    return found ? refreshed(checked, found, cookie) : UNKNOWN
  }
}

function isOptional({ access }: CheckedRequest): boolean {
  return access.kind === 'optional'
}

function nobodyWhileAway(error: unknown): FoundEvidence {
  if (error instanceof AuthError && error.code === 'store_unavailable') return NOBODY
  throw error
}

function notRefreshed({ reason, facts = {} }: Cause = {}): AuthError {
  const cause = reason === undefined ? '' : `: ${reason}`
  return new AuthError('provider_unavailable', `the tokens could not be refreshed${cause}`, {
    facts,
  })
}

/** Adds the digest of the session id, by which replicas agree on who refreshes. */
function withDigest(cookie: PresentedCookie): PresentedSession {
  return { ...cookie, digest: sessionDigest(cookie.credential) }
}
