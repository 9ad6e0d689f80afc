import type { IncomingMessage } from 'node:http'
import { DPOP_ALGORITHMS } from '../../bearer/dpop-proof.ts'
import { signInStatus, tokenStatus } from '../../core/answer-status.ts'
import type { PresentedToken } from '../../core/authorization.ts'
import type { TokenFault } from '../../core/bearer.ts'
import type { ForwardedRequest } from '../../core/forwarded-request.ts'
import { displayName } from '../../core/identity.ts'
import { showsPage } from '../../core/request-class.ts'
import { parseReturnTo, type ReturnToOptions } from '../../core/return-to.ts'
import type { Session } from '../../core/session.ts'
import type { Addresses } from '../../http/addresses.ts'
import { json, redirect, settingCookies } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import { notAllowedPage, resetCookiesPage } from '../../http/pages/pages.ts'
import { requestIdOf } from '../../http/request.ts'
import type { PageWriter } from '../../http/write-page.ts'
import type { CheckOutcome } from '../../telemetry/metrics.ts'
import type { CheckedRequest } from './checked-request.ts'

/** Answer of a check with its outcome for the metrics. */
export interface CheckAnswer {
  readonly response: Response | Promise<Response>
  readonly outcome: CheckOutcome
}

/** Answers of the check to people and programs that may not pass. */
export interface Denials {
  signIn(checked: CheckedRequest): CheckAnswer
  /** Refuses a known user, or the bearer of a token, whom no rule lets pass. */
  forbidden(checked: CheckedRequest, session: Session | undefined): CheckAnswer
  resetCookies(checked: CheckedRequest): CheckAnswer
  /** Refuses a program, never with a page, a redirect or a cookie. No `fault` means that no token was sent. */
  refuseToken(checked: CheckedRequest, fault: TokenFault | undefined): CheckAnswer
}

export interface DenialOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly returnTo: ReturnToOptions
  readonly writePage: PageWriter
}

export function createDenials({ addresses, cookies, returnTo, writePage }: DenialOptions): Denials {
  const targetOf = (request: ForwardedRequest) =>
    parseReturnTo(encodeQuery(request.url), request.site, returnTo) ?? `${request.site.origin}/`

  /** Returns the page that a form or a script was on, because what it sent cannot be sent again. */
  const pageOf = ({ site }: ForwardedRequest, raw: IncomingMessage) => {
    const referer = raw.headers.referer
    const isOwn = referer?.startsWith(`${site.origin}/`) === true
    return (isOwn && parseReturnTo(encodeQuery(referer), site, returnTo)) || `${site.origin}/`
  }

  const unauthenticated = ({ request, raw }: CheckedRequest): CheckAnswer => {
    const login_url = addresses.login(request.site, pageOf(request, raw))
    const challenge = [['WWW-Authenticate', `Bearer realm="${request.site.host}"`]] as const
    const body = { error: 'login_required', login_url }
    return { response: json(401, body, requestIdOf(raw), challenge), outcome: 'unauthenticated' }
  }

  return {
    signIn(checked) {
      const { request, requestClass, raw } = checked
      const status = signInStatus(requestClass)
      if (status === 401) return unauthenticated(checked)
      const target = status === 302 ? targetOf(request) : pageOf(request, raw)
      const response = redirect(status, addresses.login(request.site, target))
      return { response, outcome: 'sign_in' }
    },

    forbidden({ request, requestClass, raw, presented }, session) {
      const requestId = requestIdOf(raw)
      // Without a rule that accepts tokens, Authorization belongs to the app and does not mean a program.
      const isPageShown = showsPage(requestClass) && !presented
      if (!isPageShown) {
        const body = { error: 'forbidden', request_id: requestId }
        return { response: json(403, body, requestId), outcome: 'forbidden' }
      }
      const name = session && displayName(session.identity)
      const switchUser = addresses.login(request.site, targetOf(request), { prompt: 'login' })
      const response = writePage(403, notAllowedPage(name, switchUser), requestId)
      return { response, outcome: 'forbidden' }
    },

    resetCookies(checked) {
      const { request, requestClass, raw } = checked
      if (!showsPage(requestClass)) return unauthenticated(checked)
      const { site, path } = request
      const expired = settingCookies(
        ...cookies.clearSession(site),
        ...cookies.clearPlanted(raw, site, path),
      )
      const page = resetCookiesPage(addresses.login(request.site, targetOf(request)))
      const response = writePage(400, page, requestIdOf(raw), expired)
      return { response, outcome: 'unauthenticated' }
    },

    refuseToken({ request, raw, presented }, fault) {
      const { error = 'token_required' } = fault ?? {}
      const status = tokenStatus(fault)
      const challenge = challengeOf(request.site.host, presented?.scheme, fault)
      const headers = challenge === undefined ? [] : [['WWW-Authenticate', challenge] as const]
      return {
        response: json(status, { error }, requestIdOf(raw), headers),
        outcome: status === 403 ? 'forbidden' : 'unauthenticated',
      }
    },
  }
}

/** Encodes backslashes in the query, where browsers send them as they are; elsewhere they are refused (threat A40). */
function encodeQuery(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query) + url.slice(query).replaceAll('\\', '%5C')
}

/** Returns the challenge of RFC 6750 section 3 and, for the DPoP scheme, of RFC 9449 section 7.1. */
function challengeOf(
  host: string,
  scheme: PresentedToken['scheme'] | undefined,
  fault: TokenFault | undefined,
): string | undefined {
  if (fault?.error === 'forbidden') return undefined
  const parameters = fault ? parametersOf(fault) : []
  const bearer = `Bearer realm="${host}"`
  return scheme === 'DPoP'
    ? `${bearer}, DPoP ${[`algs="${DPOP_ALGORITHMS}"`, ...parameters].join(', ')}`
    : [bearer, ...parameters].join(', ')
}

function parametersOf(fault: Exclude<TokenFault, { error: 'forbidden' }>): readonly string[] {
  const { error } = fault
  const detail =
    error === 'insufficient_scope'
      ? `scope="${fault.scopes.join(' ')}"`
      : `error_description="${fault.description}"`
  return [`error="${error}"`, detail]
}
