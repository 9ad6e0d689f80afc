import { type Bearer, isOfValidToken, type TokenFault } from '../../core/bearer.ts'
import type { Evidence } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import type { Principal } from '../../core/session.ts'
import { AuthError } from '../../errors.ts'
import type { Cookies } from '../../http/cookies.ts'
import { requestIdOf, traceOf } from '../../http/request.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CheckedRequest } from './checked-request.ts'
import type { FindBehind } from './find-behind.ts'
import { askedBy } from './log-fields.ts'

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
  readonly findBehind: FindBehind
  readonly clientAddress: (raw: CheckedRequest['raw']) => string | undefined
  readonly log: Log
}

export function createRefusalLog(options: RefusalLogOptions): RefusalLog {
  const { cookies, findBehind, clientAddress, log } = options

  function write(checked: CheckedRequest, identity: Identity, why: object): void {
    const fields = { event: 'not_permitted', status: 403, ...why, ...askedBy(identity, checked) }
    log.info(fields, 'a signed-in user may not do this')
  }

  /** Returns the function that logs why somebody may not pass, also when the connection of the request is gone. */
  function reasonLog(checked: CheckedRequest) {
    const { raw, request, access, demand, rules } = checked
    const refused = { request, access, demand, address: clientAddress(raw) }
    return ({ identity }: Principal, token?: Bearer) =>
      write(checked, identity, rules.explainRefusal(refused, identity, token))
  }

  return {
    notPermitted(checked, principal) {
      const note = reasonLog(checked)
      if (principal) return note(principal)
      findBehind(checked)
        .then((session) => session && note(session))
        // Ignores an outage, because the refusal does not depend on who it is.
        .catch(() => undefined)
    },
    tokenNotPermitted(checked, evidence, fault) {
      if (evidence.kind !== 'bearer' || !isOfValidToken(fault)) return
      reasonLog(checked)(evidence.bearer, evidence.bearer)
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
