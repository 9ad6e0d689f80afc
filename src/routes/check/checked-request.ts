import type { IncomingMessage } from 'node:http'
import {
  type Access,
  type AccessRule,
  createAccessFinder,
  takesTokens,
} from '../../core/access-rule.ts'
import { type PresentedToken, readAuthorization } from '../../core/authorization.ts'
import { isForeignOrigin } from '../../core/decision.ts'
import {
  createAliasCheck,
  type ForwardedRequest,
  parseForwardedRequest,
} from '../../core/forwarded-request.ts'
import { isUnder } from '../../core/path-readings.ts'
import { classify, type RequestClass } from '../../core/request-class.ts'
import type { Sites } from '../../core/site.ts'
import { AuthError, type AuthErrorCode, type FailureFacts } from '../../errors.ts'
import type { RequireCertificate } from '../../http/client-certificates.ts'
import { peerAddress, type TrustedProxies } from '../../http/trusted-proxies.ts'

/** Forwarded request after parsing, with the access that its rules grant. */
export interface CheckedRequest {
  /** Traefik's request to the check, with the visitor's headers. */
  readonly raw: IncomingMessage
  readonly request: ForwardedRequest
  readonly requestClass: RequestClass
  readonly access: Access
  /** Present where a rule accepts tokens and the request has one. */
  readonly presented: PresentedToken | undefined
}

export interface RequestParserOptions {
  readonly protectedSites: Sites
  readonly rules: readonly AccessRule[]
  readonly basePath: string
  readonly proxies: TrustedProxies
  readonly requireCertificate: RequireCertificate
  /** Header names that are refused in any other spelling; empty refuses none. */
  readonly guardedNames: readonly string[]
}

/** Creates the parser of checks, which throws `AuthError` for a request that no rule may let pass. */
export function createRequestParser(
  options: RequestParserOptions,
): (raw: IncomingMessage) => CheckedRequest {
  const { protectedSites, proxies } = options
  const findAlias = createAliasCheck(options.guardedNames)
  const findAccess = createAccessFinder(options.rules)

  function requireTrustedSender(raw: IncomingMessage): void {
    if (!proxies.isTrustedPeer(raw)) {
      throw refusal('untrusted_peer', 'the caller is not in TRUSTED_PROXIES', {
        peer: peerAddress(raw),
        setting: 'TRUSTED_PROXIES',
      })
    }
    options.requireCertificate(raw)
    const alias = findAlias(raw)
    if (alias === undefined) return
    // Names no setting, because the switch that helps the sender opens what this refusal protects (threat A29).
    throw refusal('alias_header', `${alias} is another spelling of a header that is trusted`)
  }

  return function parse(raw) {
    requireTrustedSender(raw)
    const request = parseForwardedRequest(raw, protectedSites)
    if (isUnder(options.basePath, request.readings.all)) {
      throw refusal('sign_in_router', 'the middleware is attached to the sign-in router', {
        host: request.site.host,
        setting: 'BASE_PATH',
      })
    }
    const requestClass = classify(raw, request.method, request.isWebSocketScheme)
    const access = findAccess(request)
    if (
      requestClass === 'websocket' &&
      isForeignOrigin(raw.headers.origin, request, protectedSites)
    ) {
      throw refusal('foreign_origin', 'the WebSocket was opened by a page of another origin', {
        host: request.site.host,
        origin: URL.parse(raw.headers.origin ?? '')?.origin ?? 'null',
        setting: 'PROTECTED_HOSTS',
      })
    }
    return {
      raw,
      request,
      requestClass,
      access,
      presented: takesTokens(access) ? readAuthorization(raw) : undefined,
    }
  }
}

function refusal(code: AuthErrorCode, message: string, facts: FailureFacts = {}): AuthError {
  return new AuthError(code, message, { isPublic: true, facts })
}
