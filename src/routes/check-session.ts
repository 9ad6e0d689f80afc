import type { IncomingMessage } from 'node:http'
import type { Access } from '../core/access-rule.ts'
import type { Evidence } from '../core/decision.ts'
import type { ForwardedRequest } from '../core/forwarded-request.ts'
import type { RequestClass } from '../core/request-class.ts'
import type { SessionCredential } from '../core/session.ts'
import { digestOf } from '../session/codec.ts'
import type { Found } from '../session/find-session.ts'
import type { Sessions } from '../session/sessions.ts'
import type { CheckSource, Metrics } from '../telemetry/metrics.ts'
import type { Cookies } from './cookies.ts'
import type { RenewOutageCookie } from './outage-cookie.ts'

/** A request whose rules ask who it is. */
export interface AskedForSession {
  readonly raw: IncomingMessage
  readonly request: ForwardedRequest
  readonly requestClass: RequestClass
  readonly access: Access
}

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
  readonly realmOf: (host: string) => string
  /** After this a check gives up on the store, which is an error and never "no session". */
  readonly storeTimeoutMs: number
  readonly renewOutageCookie: RenewOutageCookie
  readonly metrics: Metrics
}

const NOBODY: SessionEvidence = { evidence: { kind: 'none' }, source: 'none' }
const UNKNOWN: SessionEvidence = { evidence: { kind: 'none' }, source: 'store' }
const AMBIGUOUS: SessionEvidence = { evidence: { kind: 'ambiguous' }, source: 'none' }

/** Looks the session up: in memory, else in the store, else in what may stand in for the store while it is away. */
export function createSessionCheck(options: SessionCheckOptions) {
  const { cookies, sessions, storeTimeoutMs: timeoutMs, renewOutageCookie, metrics } = options

  function evidenceOf(
    asked: AskedForSession,
    found: Found,
    credential: SessionCredential,
    realm: string,
  ): SessionEvidence {
    const { session, source } = found
    const evidence: Evidence = { kind: 'session', session }
    if (source === 'l1' || source === 'assertion') {
      metrics.degradedDecision(source)
      return { evidence, source }
    }
    const renew = () => {
      const { raw, request, requestClass } = asked
      const { method, site } = request
      const held = { digest: digestOf(credential), credential, realm }
      return renewOutageCookie({ raw, method, requestClass, site }, found, held)
    }
    return { evidence, source, renew }
  }

  return function checkSession(asked: AskedForSession): SessionEvidence | Promise<SessionEvidence> {
    const { raw, request, access } = asked
    const credential = cookies.readSession(raw, request.site)
    if (credential === 'ambiguous') return AMBIGUOUS
    if (!credential) return NOBODY
    const realm = options.realmOf(request.site.host)
    const recalled = sessions.recall(credential, realm)
    if (recalled) return evidenceOf(asked, recalled, credential, realm)
    const assertion = () => cookies.readOutage(raw, request.site)
    const findOptions = { timeoutMs, ...(!access.deniesDegraded && { standIn: { assertion } }) }
    return sessions
      .find(credential, realm, findOptions)
      .then((found) => (found ? evidenceOf(asked, found, credential, realm) : UNKNOWN))
  }
}
