import { setTimeout as pause } from 'node:timers/promises'
import type { Evidence } from '../../core/decision.ts'
import { renewalNeed } from '../../core/session.ts'
import { AuthError } from '../../errors.ts'
import type { Cookies } from '../../http/cookies.ts'
import type { FindOptions, FoundSession } from '../../session/find-session.ts'
import { sessionDigest } from '../../session/records.ts'
import type { SessionRefresher } from '../../session/refresh/refresher.ts'
import type { PresentedSession } from '../../session/session-cache.ts'
import type { Sessions } from '../../session/sessions.ts'
import type { CheckSource, Metrics } from '../../telemetry/metrics.ts'
import type { CheckedRequest } from './checked-request.ts'
import type { RenewOutageCookie } from './outage-cookie.ts'

/** What a request's session cookie comes to. */
export interface SessionEvidence {
  readonly evidence: Evidence
  readonly source: CheckSource
  /** A `Set-Cookie` to go with a 200, made when it is known that there is one. */
  readonly renew?: () => string | undefined
}

export interface SessionCheckOptions {
  readonly cookies: Cookies
  readonly sessions: Sessions
  readonly refresher: SessionRefresher
  readonly realmOf: (host: string) => string
  /** After this a check gives up on the store, which is an error and never "no session". */
  readonly storeTimeoutMs: number
  /** Whether apps are given the access token, so that an old one is of no use. */
  readonly isPassingTokens: boolean
  /** For how long after its access token's end a session goes on while it cannot be refreshed. */
  readonly refreshGraceMs: number
  readonly renewOutageCookie: RenewOutageCookie
  readonly metrics: Metrics
  readonly now: () => number
}

/** For how long a check waits for a refresh without which there is no going on; the whole check has 1.5 s. */
const RENEWAL_WAIT_MS = 1000
/** How often it looks whether another replica is done with it. */
const RENEWAL_POLL_MS = 100

type PresentedCookie = Omit<PresentedSession, 'digest'>

const NOBODY: SessionEvidence = { evidence: { kind: 'none' }, source: 'none' }
const UNKNOWN: SessionEvidence = { evidence: { kind: 'none' }, source: 'store' }
const AMBIGUOUS: SessionEvidence = { evidence: { kind: 'ambiguous' }, source: 'none' }

/** Looks the session up: in memory, else in the store, else in what may stand in for the store while it is away. */
export function createSessionCheck(options: SessionCheckOptions) {
  const { cookies, sessions, refresher, renewOutageCookie, metrics } = options
  const timeoutMs = options.storeTimeoutMs

  const patienceMs = options.isPassingTokens ? 0 : options.refreshGraceMs

  function evidenceOf(
    checked: CheckedRequest,
    found: FoundSession,
    cookie: PresentedCookie,
  ): SessionEvidence {
    const { session, source } = found
    const evidence: Evidence = { kind: 'session', session }
    if (source === 'l1' || source === 'assertion') {
      metrics.degradedDecision(source)
      return { evidence, source }
    }
    const renew = () => renewOutageCookie(checked, found, () => withDigest(cookie))
    return { evidence, source, renew }
  }

  function findOptions({ raw, request, access }: CheckedRequest): FindOptions {
    const assertion = () => cookies.readOutage(raw, request.site)
    return { timeoutMs, ...(!access.deniesDegraded && { standIn: { assertion } }) }
  }

  /** Nothing is refreshed while the store is away: what it gives could not be kept (fault F36). */
  function needOf({ session, source }: FoundSession) {
    if (!session.renewal || source === 'l1' || source === 'assertion') return 'none'
    return renewalNeed(session, options.now(), patienceMs)
  }

  /** Begins a refresh behind the answer, and waits for it only where there is no going on without. */
  function refreshed(
    checked: CheckedRequest,
    found: FoundSession,
    cookie: PresentedCookie,
  ): SessionEvidence | Promise<SessionEvidence> {
    const need = needOf(found)
    if (need === 'overdue') return waitForRefresh(checked, cookie)
    if (need === 'due') setImmediate(() => void refresher.refresh(withDigest(cookie)))
    return evidenceOf(checked, found, cookie)
  }

  async function waitForRefresh(
    checked: CheckedRequest,
    cookie: PresentedCookie,
  ): Promise<SessionEvidence> {
    const presented = withDigest(cookie)
    const end = pause(RENEWAL_WAIT_MS)
    const untilMs = performance.now() + RENEWAL_WAIT_MS
    for (;;) {
      await Promise.race([refresher.refresh(presented), end])
      const found = await sessions.find(presented.credential, presented.realm, findOptions(checked))
      if (!found) return UNKNOWN
      if (needOf(found) !== 'overdue') return evidenceOf(checked, found, cookie)
      if (refresher.isPaused(presented.digest) || performance.now() > untilMs) {
        throw new AuthError('provider_unavailable', 'the tokens could not be refreshed')
      }
      await pause(RENEWAL_POLL_MS)
    }
  }

  return function checkSession(
    checked: CheckedRequest,
  ): SessionEvidence | Promise<SessionEvidence> {
    const { raw, request } = checked
    const credential = cookies.readSession(raw, request.site)
    if (credential === 'ambiguous') return AMBIGUOUS
    if (!credential) return NOBODY
    const realm = options.realmOf(request.site.host)
    const cookie = { credential, realm }
    const recalled = sessions.recall(credential, realm)
    if (recalled) return refreshed(checked, recalled, cookie)
    return sessions
      .find(credential, realm, findOptions(checked))
      .then((found) => (found ? refreshed(checked, found, cookie) : UNKNOWN))
  }
}

/** Made where it is needed: the digest of an id costs more than the rest of a check. */
function withDigest(cookie: PresentedCookie): PresentedSession {
  return { ...cookie, digest: sessionDigest(cookie.credential) }
}
