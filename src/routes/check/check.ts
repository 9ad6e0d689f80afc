import type { IncomingMessage } from 'node:http'
import { takesTokensOnly } from '../../core/access-rule.ts'
import type { PresentedToken } from '../../core/authorization.ts'
import { decide, type Evidence, needsEvidence, type Verdict } from '../../core/decision.ts'
import type { Principal } from '../../core/session.ts'
import { AuthError, type AuthErrorCode } from '../../errors.ts'
import type { NodeContext } from '../../http/request.ts'
import type { CheckOutcome, CheckSource } from '../../telemetry/metrics.ts'
import type { Allow } from './allow.ts'
import {
  type CheckedRequest,
  createRequestParser,
  type RequestParserOptions,
} from './checked-request.ts'
import { createCheckCount } from './count.ts'
import type { CheckAnswer, Denials } from './deny.ts'
import type { RefusalLog } from './refusal-log.ts'
import {
  createSessionCheck,
  type FoundEvidence,
  type SessionCheckOptions,
} from './session-evidence.ts'
import type { TokenCheck } from './token-evidence.ts'

export interface CheckOptions extends RequestParserOptions, SessionCheckOptions {
  readonly bearers: TokenCheck
  readonly allow: Allow
  readonly denials: Denials
  readonly refusalLog: RefusalLog
  readonly isOverloaded: (nowMs: number) => boolean
}

interface Answer extends CheckAnswer {
  readonly source: CheckSource
}

const NONE: Evidence = { kind: 'none' }

/** Serves `ANY /auth`: parses the forwarded request, looks for evidence, decides and answers. */
export function createCheck(options: CheckOptions) {
  const { bearers, allow, denials, metrics, refusalLog } = options
  const parse = createRequestParser(options)
  const checkSession = createSessionCheck(options)
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
      count(outcomeOf(error), 'none')
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

  /** Returns a promise only where something has to be awaited, because most checks are answered from memory. */
  function check(raw: IncomingMessage): Answer | Promise<Answer> {
    const checked = parse(raw)
    const found = findEvidence(checked)
    return found instanceof Promise
      ? found.then((each) => judge(checked, each))
      : judge(checked, found)
  }

  function findEvidence(checked: CheckedRequest): FoundEvidence | Promise<FoundEvidence> {
    const { access, requestClass, presented } = checked
    if (!needsEvidence(access, requestClass)) return { evidence: NONE, source: 'rule' }
    if (presented) return examineToken(checked, presented)
    return takesTokensOnly(access) ? { evidence: NONE, source: 'none' } : checkSession(checked)
  }

  /** Takes a token as the only evidence where its rule accepts one, so no session stands in for it (threat A87). */
  function examineToken(
    checked: CheckedRequest,
    presented: PresentedToken,
  ): FoundEvidence | Promise<FoundEvidence> {
    const evidence = bearers.examine(presented, checked)
    return evidence instanceof Promise
      ? evidence.then((each) => ({ evidence: each, source: 'bearer' }))
      : { evidence, source: 'bearer' }
  }

  function judge(checked: CheckedRequest, found: FoundEvidence): Answer | Promise<Answer> {
    const verdict = decide(checked.access, checked.requestClass, found.evidence)
    if (verdict.kind !== 'allow' || !verdict.spends) return answer(checked, verdict, found)
    return bearers
      .spend(verdict.spends)
      .then((fault) => answer(checked, fault ? { kind: 'refuse-token', fault } : verdict, found))
  }

  function pass(
    checked: CheckedRequest,
    principal: Principal | undefined,
    setCookie: string | undefined,
  ): Response {
    try {
      return allow(checked, principal, setCookie)
    } catch (error) {
      refusalLog.unusable(checked, principal, error)
      throw error
    }
  }

  function answer(
    checked: CheckedRequest,
    verdict: Verdict,
    { evidence, source, renew }: FoundEvidence,
  ): Answer {
    switch (verdict.kind) {
      case 'allow':
        return { response: pass(checked, verdict.principal, renew?.()), outcome: 'allow', source }
      case 'sign-in':
        return { ...denials.signIn(checked), source }
      case 'forbidden':
        refusalLog.notPermitted(checked, verdict.session)
        return { ...denials.forbidden(checked, verdict.session), source }
      case 'reset-cookies':
        metrics.duplicateCookie()
        refusalLog.ambiguous(checked)
        return { ...denials.resetCookies(checked), source }
      case 'refuse-token':
        if (verdict.fault) refusalLog.tokenNotPermitted(checked, evidence, verdict.fault)
        return { ...denials.refuseToken(checked, verdict.fault), source }
    }
  }
}

const UNAVAILABLE: ReadonlySet<AuthErrorCode> = new Set([
  'store_unavailable',
  'provider_unavailable',
  'busy',
])

function outcomeOf(error: unknown): CheckOutcome {
  return error instanceof AuthError && !UNAVAILABLE.has(error.code) ? 'refused' : 'unavailable'
}
