import type { IncomingMessage } from 'node:http'
import { type Access, takesTokens } from '../../core/access/access-rule.ts'
import type { Demand } from '../../core/access/demand.ts'
import type { LiveRules, Rules } from '../../core/access/rule-set.ts'
import { type PresentedToken, readAuthorization } from '../../core/authorization.ts'
import type { CutCookies } from '../../core/cookie-header.ts'
import { isForeignOrigin } from '../../core/decision.ts'
import { type ForwardedRequest, parseForwardedRequest } from '../../core/forwarded-request.ts'
import { isUnder } from '../../core/path-readings.ts'
import { classify, type RequestClass } from '../../core/request-class.ts'
import { createHeaderScan, type SentHeaders } from '../../core/sent-headers.ts'
import type { Sites } from '../../core/site.ts'
import { AuthError, type AuthErrorCode, type FailureFacts } from '../../errors.ts'
import type { RequireCertificate } from '../../http/client-certificates.ts'
import type { Cookies } from '../../http/cookies.ts'
import { peerAddress, type TrustedProxies } from '../../http/trusted-proxies.ts'

/** Forwarded request after parsing, with the access that its rules grant. */
export interface CheckedRequest {
  /** Traefik's request to the check, with the visitor's headers. */
  readonly raw: IncomingMessage
  readonly headers: SentHeaders
  readonly cookies: CutCookies
  readonly request: ForwardedRequest
  readonly requestClass: RequestClass
  /** Rules by which this request is decided, also where others have come into force since. */
  readonly rules: Rules
  /** Present where the address of the middleware demands more than the rules do. */
  readonly demand: Demand | undefined
  readonly access: Access
  /** Address of the client; absent where no condition looks at it, and where no trusted proxy names it. */
  readonly address: string | undefined
  /** Present where a rule accepts tokens and the request has one. */
  readonly presented: PresentedToken | undefined
}

export interface RequestParserOptions {
  readonly protectedSites: Sites
  readonly rules: LiveRules
  readonly basePath: string
  readonly proxies: TrustedProxies
  readonly requireCertificate: RequireCertificate
  readonly cookies: Cookies
  /** Header names that are refused in any other spelling; empty refuses none. */
  readonly guardedNames: readonly string[]
}

/** Creates the parser of checks, which throws `AuthError` for a request that no rule may let pass. */
export function createRequestParser(
  options: RequestParserOptions,
): (raw: IncomingMessage) => CheckedRequest {
  const { protectedSites, proxies } = options
  const scan = createHeaderScan(options.guardedNames)

  function requireTrustedPeer(raw: IncomingMessage): void {
    if (proxies.isTrustedPeer(raw)) return
    throw refusal('untrusted_peer', 'the caller is not in TRUSTED_PROXIES', {
      peer: peerAddress(raw),
      setting: 'TRUSTED_PROXIES',
    })
  }

  function requireOwnOrigin(origin: string | undefined, request: ForwardedRequest): void {
    if (!isForeignOrigin(origin, request, protectedSites)) return
    throw refusal('foreign_origin', 'the WebSocket was opened by a page of another origin', {
      host: request.site.host,
      origin: URL.parse(origin ?? '')?.origin ?? 'null',
      setting: 'PROTECTED_HOSTS',
    })
  }

  return function parse(raw) {
    requireTrustedPeer(raw)
    options.requireCertificate(raw)
    const rules = options.rules.current
    const demand = rules.readDemand(raw.url)
    const headers = scan(raw.rawHeaders)
    if (headers.alias !== undefined) throw aliased(headers.alias)
    const request = parseForwardedRequest(headers, protectedSites)
    if (isUnder(options.basePath, request.readings.all)) {
      throw refusal('sign_in_router', 'the middleware is attached to the sign-in router', {
        host: request.site.host,
        setting: 'BASE_PATH',
      })
    }
    const requestClass = classify(headers, request.method, request.isWebSocketScheme)
    const access = rules.findAccess(request, demand)
    if (requestClass === 'websocket') requireOwnOrigin(headers.origin, request)
    const presented = takesTokens(access) ? readAuthorization(headers) : undefined
    const cookies = options.cookies.cut(headers.cookie, request.site)
    const needsAddress = access.kind === 'signed-in' && access.needsAddress
    const address = needsAddress ? proxies.clientAddress(raw) : undefined
    return {
      raw,
      headers,
      cookies,
      request,
      requestClass,
      rules,
      demand,
      access,
      address,
      presented,
    }
  }
}

/** Names no setting, because the switch that helps the sender opens what this refusal protects (threat A29). */
function aliased(name: string): AuthError {
  return refusal('alias_header', `${name} is another spelling of a header that is trusted`)
}

function refusal(code: AuthErrorCode, message: string, facts: FailureFacts = {}): AuthError {
  return new AuthError(code, message, { isPublic: true, facts })
}
