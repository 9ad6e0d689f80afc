import type { TokenFault } from '../../core/bearer.ts'
import { cleanText } from '../../core/clean-text.ts'
import type { Evidence } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import { type Principal, parseSessionCookie } from '../../core/session.ts'
import { AuthError } from '../../errors.ts'
import type { Cookies } from '../../http/cookies.ts'
import { requestIdOf, traceOf } from '../../http/request.ts'
import type { Sessions } from '../../session/sessions.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { CheckedRequest } from './checked-request.ts'

/** Log of what the check answers to people and valid tokens that may not pass (finding C53). Strangers get no 403 line. */
export interface RefusalLog {
  /** Logs that no rule lets a user pass; without a principal, the session is looked up behind the answer. */
  notPermitted(checked: CheckedRequest, principal: Principal | undefined): void
  /** Logs that no rule lets the owner of a valid token pass; a token that is not valid gets no line. */
  tokenNotPermitted(checked: CheckedRequest, evidence: Evidence, fault: TokenFault): void
  /** Logs that a user whom the rules let pass has claims or a token that no header can carry. */
  unusable(checked: CheckedRequest, principal: Principal | undefined, error: unknown): void
  /** Logs that the session cookie came with several values, of which any may be the visitor's. */
  ambiguous(checked: CheckedRequest): void
}

export interface RefusalLogOptions {
  readonly cookies: Cookies
  readonly sessions: Pick<Sessions, 'find'>
  readonly realmOf: (host: string) => string
  readonly storeTimeoutMs: number
  readonly log: Log
}

const MAX_PATH_CHARS = 200

export function createRefusalLog(options: RefusalLogOptions): RefusalLog {
  const { cookies, sessions, storeTimeoutMs, log } = options

  function write(checked: CheckedRequest, identity: Identity, why: object): void {
    const { raw, request } = checked
    const { issuer, subject } = identity
    const fields = {
      event: 'not_permitted',
      status: 403,
      ...why,
      user: userDigest(issuer, subject),
      host: request.site.host,
      path: cleanPath(request.path),
      request_id: requestIdOf(raw),
      ...traceOf(raw),
    }
    log.info(fields, 'a signed-in user may not do this')
  }

  function notPermitted(checked: CheckedRequest, { identity }: Principal): void {
    write(checked, identity, checked.rules.explainRefusal(checked.request, identity))
  }

  /** Finds the user whom a rule with `access: deny` refused without a look at the session. */
  async function findAndNote(checked: CheckedRequest): Promise<void> {
    const { cookies: sent, request } = checked
    const credential = sent.session && parseSessionCookie(sent.session)
    if (!credential) return
    const realm = options.realmOf(request.site.host)
    const standIn = { assertion: () => sent.outage }
    const found = await sessions.find(credential, realm, { timeoutMs: storeTimeoutMs, standIn })
    if (found) notPermitted(checked, found.session)
  }

  return {
    notPermitted(checked, principal) {
      if (principal) notPermitted(checked, principal)
      // Ignores an outage, because the refusal does not depend on who it is.
      else findAndNote(checked).catch(() => undefined)
    },
    tokenNotPermitted(checked, evidence, { error }) {
      const isForbidden = error === 'forbidden' || error === 'insufficient_scope'
      if (evidence.kind !== 'bearer' || !isForbidden) return
      const { bearer } = evidence
      const why = checked.rules.explainRefusal(checked.request, bearer.identity, bearer)
      write(checked, bearer.identity, why)
    },
    unusable(checked, principal, error) {
      if (!principal || !(error instanceof AuthError)) return
      write(checked, principal.identity, {
        code: error.code,
        reason: error.message,
        ...error.facts,
      })
    },
    ambiguous({ raw, request: { site } }) {
      const fields = {
        event: 'duplicate_cookies',
        reason:
          'the session cookie came with two values: another installation above or below this host has the same COOKIE_NAME, or one of them was planted',
        cookie_name: cookies.sessionName(site),
        setting: 'COOKIE_NAME',
        host: site.host,
        request_id: requestIdOf(raw),
        ...traceOf(raw),
      }
      log.info(fields, 'nobody is signed in by a cookie with several values')
    },
  }
}

/** Matches an `@`, also the full-width one, encoded any number of times. */
const ENCODED_AT = /%(?:25)*40|%(?:25)*ef%(?:25)*bc%(?:25)*a0/gi

/** Returns a path for the log, without what may be an e-mail address or a token in a segment. */
function cleanPath(path: string): string {
  const segments = path.slice(0, MAX_PATH_CHARS).replaceAll(ENCODED_AT, '@').split('/')
  return segments.map((segment) => cleanText(segment)).join('/')
}
