import { takesTokensOnly } from '../../core/access/access-rule.ts'
import { decide, needsEvidence, type Verdict } from '../../core/decision.ts'
import type { Principal } from '../../core/session.ts'
import { AuthError, type AuthErrorCode } from '../../errors.ts'
import type { NodeContext } from '../../http/request.ts'
import type { CheckOutcome } from '../../telemetry/metrics.ts'
import type { Allow } from './allow.ts'
import {
  type CheckedRequest,
  createRequestParser,
  type RequestParserOptions,
} from './checked-request.ts'
import { type CheckCount, createCheckCount } from './count.ts'
import type { CheckAnswer, Denials } from './deny.ts'
import { type FoundEvidence, NOBODY } from './found-evidence.ts'
import type { RenewOutageCookie } from './outage-cookie.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { ReportLog } from './report-log.ts'
import { createSessionCheck, type SessionCheckOptions } from './session-evidence.ts'
import type { TokenCheck } from './token-evidence.ts'

export interface CheckOptions extends RequestParserOptions, SessionCheckOptions {
  readonly bearers: TokenCheck
  readonly allow: Allow
  readonly denials: Denials
  readonly refusalLog: RefusalLog
  readonly reportLog: ReportLog
  readonly renewOutageCookie: RenewOutageCookie
  readonly isOverloaded: (nowMs: number) => boolean
}

type Answer = Response | Promise<Response>

const OF_RULE: FoundEvidence = { evidence: { kind: 'none' }, source: 'rule' }

/** Serves `ANY /auth`: parses the forwarded request, looks for evidence, decides and answers. */
export function createCheck(options: CheckOptions) {
  const { bearers, allow, denials, metrics, refusalLog, reportLog, renewOutageCookie } = options
  const parse = createRequestParser(options)
  const checkSession = createSessionCheck(options)
  const startCount = createCheckCount(metrics)

  /** Returns a promise only where something has to be awaited, because most checks are answered from memory. */
  return function checkRoute({ env }: NodeContext): Answer {
    const count = startCount(env.outgoing)
    try {
      if (options.isOverloaded(count.startedAtMs))
        throw new AuthError('busy', 'the process is overloaded')
      const checked = parse(env.incoming)
      const found = findEvidence(checked)
      if (found instanceof Promise) return answerLater(checked, found, count)
      const verdict = decideOn(checked, found)
      return verdict.kind === 'allow' && verdict.spends
        ? answerLater(checked, found, count)
        : answer(checked, verdict, found, count)
    } catch (error) {
      throw failed(count, error)
    }
  }

  function findEvidence(checked: CheckedRequest): FoundEvidence | Promise<FoundEvidence> {
    const { access, requestClass, presented } = checked
    if (!needsEvidence(access, requestClass)) return OF_RULE
    // Takes a token as the only evidence where its rule accepts one, so no session stands in for it (threat A87).
    if (presented) return bearers.examine(presented, checked)
    return takesTokensOnly(access) ? NOBODY : checkSession(checked)
  }

  /** Answers once evidence from the store, the provider or the issuer is there, and what may be used once is spent. */
  async function answerLater(
    checked: CheckedRequest,
    pending: FoundEvidence | Promise<FoundEvidence>,
    count: CheckCount,
  ): Promise<Response> {
    try {
      const found = await pending
      const verdict = decideOn(checked, found)
      const spends = verdict.kind === 'allow' ? verdict.spends : undefined
      const fault = spends && (await bearers.spend(spends))
      return await answer(checked, fault ? { kind: 'refuse-token', fault } : verdict, found, count)
    } catch (error) {
      throw failed(count, error)
    }
  }

  function answer(
    checked: CheckedRequest,
    verdict: Verdict,
    found: FoundEvidence,
    count: CheckCount,
  ): Answer {
    count.source = found.source
    reportLog.note(checked, found.evidence, verdict)
    if (verdict.kind === 'allow') {
      const response = pass(checked, verdict.principal, found)
      count.outcome = 'allow'
      return response
    }
    const { response, outcome } = deny(checked, verdict, found)
    count.outcome = outcome
    return response
  }

  function pass(
    checked: CheckedRequest,
    principal: Principal | undefined,
    { confirmed }: FoundEvidence,
  ): Response {
    const setCookie = confirmed && renewOutageCookie(checked, confirmed)
    try {
      return allow(checked, principal, setCookie)
    } catch (error) {
      refusalLog.unusable(checked, principal, error)
      throw error
    }
  }

  function deny(
    checked: CheckedRequest,
    verdict: Exclude<Verdict, { kind: 'allow' }>,
    { evidence }: FoundEvidence,
  ): CheckAnswer {
    switch (verdict.kind) {
      case 'sign-in':
        return denials.signIn(checked)
      case 'forbidden':
        refusalLog.notPermitted(checked, verdict.session)
        return denials.forbidden(checked, verdict.session)
      case 'reset-cookies':
        metrics.duplicateCookie()
        refusalLog.ambiguous(checked)
        return denials.resetCookies(checked)
      case 'refuse-token':
        if (verdict.fault) refusalLog.tokenNotPermitted(checked, evidence, verdict.fault)
        return denials.refuseToken(checked, verdict.fault)
    }
  }
}

function decideOn(
  { access, requestClass, address }: CheckedRequest,
  { evidence }: FoundEvidence,
): Verdict {
  return decide(access, requestClass, evidence, address)
}

/** Counts a check as failed, whatever was found before, and returns its error. */
function failed(count: CheckCount, error: unknown): unknown {
  count.source = 'none'
  count.outcome = outcomeOf(error)
  return error
}

const UNAVAILABLE: ReadonlySet<AuthErrorCode> = new Set([
  'store_unavailable',
  'provider_unavailable',
  'busy',
])

function outcomeOf(error: unknown): CheckOutcome {
  return error instanceof AuthError && !UNAVAILABLE.has(error.code) ? 'refused' : 'unavailable'
}
