import type { IncomingMessage } from 'node:http'
import { type AccessRule, createAccessFinder } from '../../core/access-rule.ts'
import { type PresentedToken, readAuthorization } from '../../core/authorization.ts'
import {
  decide,
  type Evidence,
  isForeignOrigin,
  needsEvidence,
  type Verdict,
} from '../../core/decision.ts'
import { createAliasCheck, parseForwardedRequest } from '../../core/forwarded-request.ts'
import { isUnder } from '../../core/path-readings.ts'
import { classify } from '../../core/request-class.ts'
import type { Sites } from '../../core/site.ts'
import { AuthError, type AuthErrorCode } from '../../errors.ts'
import type { NodeContext } from '../../http/request.ts'
import type { TrustedProxies } from '../../http/trusted-proxies.ts'
import type { CheckOutcome, CheckSource } from '../../telemetry/metrics.ts'
import type { Allow } from './allow.ts'
import type { CheckAnswer, CheckedRequest } from './checked-request.ts'
import { createCheckCount } from './count.ts'
import type { Denials } from './deny.ts'
import { createSessionCheck, type SessionCheckOptions } from './session-evidence.ts'
import type { Bearers } from './token-evidence.ts'

export interface CheckOptions extends SessionCheckOptions {
  readonly protectedSites: Sites
  readonly rules: readonly AccessRule[]
  readonly basePath: string
  readonly bearers: Bearers
  readonly proxies: TrustedProxies
  /** Header names of which no other spelling is let through; none to let all through. */
  readonly guardedNames: readonly string[]
  readonly allow: Allow
  readonly denials: Denials
  readonly isOverloaded: (nowMs: number) => boolean
}

interface Answer extends CheckAnswer {
  readonly source: CheckSource
}

const UNAVAILABLE: ReadonlySet<AuthErrorCode> = new Set([
  'store_unavailable',
  'provider_unavailable',
  'busy',
])

/** `ANY /auth`: may this request pass, and who is it? Reads down one page and writes only what is used up. */
export function createCheck(options: CheckOptions) {
  const { protectedSites, basePath, bearers, allow, denials, metrics } = options
  const findSession = createSessionCheck(options)
  const findAlias = createAliasCheck(options.guardedNames)
  const findAccess = createAccessFinder(options.rules)

  function check(raw: IncomingMessage): Answer | Promise<Answer> {
    refuseStrangers(raw)
    const request = parseForwardedRequest(raw, protectedSites)
    if (isUnder(basePath, request.readings.all)) {
      throw new AuthError('sign_in_router', 'the middleware is attached to the sign-in router', {
        isPublic: true,
      })
    }
    const requestClass = classify(raw, request.method, request.isWebSocketScheme)
    const access = findAccess(request)
    if (
      requestClass === 'websocket' &&
      isForeignOrigin(raw.headers.origin, request, protectedSites)
    ) {
      throw new AuthError('foreign_origin', 'a WebSocket from another origin', { isPublic: true })
    }
    const presented = access.bearer && readAuthorization(raw)
    const checked: CheckedRequest = { raw, request, requestClass, access, presented }
    if (!needsEvidence(access, requestClass)) return answer(checked, { kind: 'none' }, 'rule')
    if (presented) return checkToken(checked, presented)
    if (access.bearer?.isOneTime) return answer(checked, { kind: 'none' }, 'none')
    const found = findSession(checked)
    return found instanceof Promise
      ? found.then((each) => answer(checked, each.evidence, each.source, each.renew))
      : answer(checked, found.evidence, found.source, found.renew)
  }

  /** Where a token counts and one is there, it alone decides (threat A87). */
  function checkToken(
    checked: CheckedRequest,
    presented: PresentedToken,
  ): Answer | Promise<Answer> {
    const evidence = bearers.examine(presented, checked)
    return evidence instanceof Promise
      ? evidence.then((each) => answer(checked, each, 'bearer'))
      : answer(checked, evidence, 'bearer')
  }

  function refuseStrangers(raw: IncomingMessage): void {
    if (!options.proxies.isTrustedPeer(raw)) {
      throw new AuthError('untrusted_peer', 'the caller is not in TRUSTED_PROXIES', {
        isPublic: true,
      })
    }
    const alias = findAlias(raw)
    if (alias !== undefined) {
      throw new AuthError(
        'alias_header',
        `${alias} is another spelling of a header that is trusted`,
        { isPublic: true },
      )
    }
  }

  function answer(
    checked: CheckedRequest,
    evidence: Evidence,
    source: CheckSource,
    renew?: () => string | undefined,
  ): Answer | Promise<Answer> {
    const verdict = decide(checked.access, checked.requestClass, evidence)
    if (verdict.kind !== 'allow' || !verdict.spends) return render(checked, verdict, source, renew)
    return bearers
      .spend(verdict.spends)
      .then((fault) => render(checked, fault ? { kind: 'refuse-token', fault } : verdict, source))
  }

  function render(
    checked: CheckedRequest,
    verdict: Verdict,
    source: CheckSource,
    renew?: () => string | undefined,
  ): Answer {
    switch (verdict.kind) {
      case 'allow':
        return {
          response: allow(verdict.principal, checked.raw, renew?.()),
          outcome: 'allow',
          source,
        }
      case 'sign-in':
        return { ...denials.signIn(checked), source }
      case 'forbidden':
        return { ...denials.forbidden(checked, verdict.session), source }
      case 'reset-cookies':
        metrics.duplicateCookie()
        return { ...denials.resetCookies(checked), source }
      case 'refuse-token':
        return { ...denials.refuseToken(checked, verdict.fault), source }
    }
  }

  const countWhenSent = createCheckCount(metrics)

  return function checkRoute(c: NodeContext): Response | Promise<Response> {
    const startedAtMs = performance.now()
    const count = (outcome: CheckOutcome, source: CheckSource) => {
      countWhenSent(c.env.outgoing, outcome, source, startedAtMs)
    }
    const settle = ({ response, outcome, source }: Answer) => {
      count(outcome, source)
      return response
    }
    const fail = (error: unknown): never => {
      const isRefusal = error instanceof AuthError && !UNAVAILABLE.has(error.code)
      count(isRefusal ? 'refused' : 'unavailable', 'none')
      throw error
    }
    try {
      if (options.isOverloaded(startedAtMs))
        throw new AuthError('busy', 'the process is overloaded')
      const answer = check(c.env.incoming)
      return answer instanceof Promise ? answer.then(settle).catch(fail) : settle(answer)
    } catch (error) {
      return fail(error)
    }
  }
}
