import { setImmediate as nextRound } from 'node:timers/promises'
import type { Access, AccessRule } from '../../core/access/access-rule.ts'
import { combineRules } from '../../core/access/combine-rules.ts'
import { explainRule, type RefusalReason } from '../../core/access/refusal-reason.ts'
import { isOfValidToken } from '../../core/bearer.ts'
import { decide, type Evidence, type Verdict } from '../../core/decision.ts'
import { AuthError } from '../../errors.ts'
import { createThrottle } from '../../http/throttle.ts'
import { describeCause } from '../../telemetry/describe-cause.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CheckedRequest } from './checked-request.ts'
import type { FindBehind } from './find-behind.ts'
import { askedBy } from './log-fields.ts'

/** Counts and logs whom the rules with `report: true` would refuse, which decide nothing. Strangers are not counted. */
export interface ReportLog {
  /** Evaluates, behind the answer, the report rules that match a request. */
  note(checked: CheckedRequest, evidence: Evidence, verdict: Verdict): void
}

export interface ReportLogOptions {
  readonly findBehind: FindBehind
  readonly clientAddress: (raw: CheckedRequest['raw']) => string | undefined
  readonly onWouldDeny: (rule: string) => void
  readonly log: Log
}

/** Evidence by which a person or a program is known. */
type KnownEvidence = Evidence & { readonly kind: 'session' | 'bearer' }

const PAUSE_MS = 1000

/** Effect of a report rule as if it decided alone, and the throttle of its lines. */
interface ReportState {
  readonly access: Access
  readonly admitLogLine: () => number | undefined
}

export function createReportLog(options: ReportLogOptions): ReportLog {
  const { findBehind, clientAddress, onWouldDeny, log } = options
  const states = new WeakMap<AccessRule, ReportState>()

  async function report(
    checked: CheckedRequest,
    evidence: Evidence,
    address: string | undefined,
  ): Promise<void> {
    const reported = checked.rules.findReported?.(checked.request) ?? []
    const known = reported.length > 0 ? await knownEvidence(checked, evidence) : undefined
    if (!known) return
    for (const rule of reported) {
      try {
        evaluate(rule, checked, known, address)
      } catch (error) {
        failed(error, rule.name)
      }
    }
  }

  /** Looks the session up where the rule that decided needed none. */
  async function knownEvidence(
    checked: CheckedRequest,
    evidence: Evidence,
  ): Promise<KnownEvidence | undefined> {
    if (evidence.kind === 'session' || evidence.kind === 'bearer') return evidence
    const { kind } = checked.access
    const session = kind === 'public' || kind === 'deny' ? await findBehind(checked) : undefined
    return session && { kind: 'session', session }
  }

  /** Counts a refusal, and explains only those that get a line, because reasons cost more than decisions. */
  function evaluate(
    rule: AccessRule,
    checked: CheckedRequest,
    evidence: KnownEvidence,
    address: string | undefined,
  ): void {
    const { access, admitLogLine } = states.getOrInsertComputed(rule, stateOf)
    if (decide(access, checked.requestClass, evidence, address).kind === 'allow') return
    onWouldDeny(rule.name)
    const suppressed = admitLogLine()
    if (suppressed === undefined) return
    const fields = {
      event: 'would_deny',
      ...reasonOf(rule, evidence, address),
      rule: rule.name,
      ...askedBy(principalOf(evidence).identity, checked),
      ...(suppressed > 0 && { suppressed }),
    }
    log.info(fields, 'a rule that only reports would refuse this')
  }

  /** Ignores an outage, during which nobody is known whose session is in the store alone. */
  function failed(error: unknown, rule?: string): void {
    if (error instanceof AuthError) return
    const cause = describeCause(error)
    const fields = { event: 'report_failed', ...(rule !== undefined && { rule }), cause }
    log.error(fields, 'a rule that only reports could not be evaluated')
  }

  return {
    note(checked, evidence, verdict) {
      if (!checked.rules.findReported || refusesToken(verdict)) return
      // Reads the address before the answer, because the connection may be gone behind it.
      const address = clientAddress(checked.raw)
      nextRound()
        .then(() => report(checked, evidence, address))
        .catch((error: unknown) => failed(error))
    },
  }
}

function stateOf(rule: AccessRule): ReportState {
  return { access: combineRules([rule], undefined), admitLogLine: createThrottle(PAUSE_MS) }
}

const OTHER_CREDENTIAL: RefusalReason = {
  code: 'credential',
  reason: 'the rule takes other credentials than the one of this request',
}

function reasonOf(
  rule: AccessRule,
  evidence: KnownEvidence,
  address: string | undefined,
): RefusalReason {
  const { identity } = principalOf(evidence)
  const token = evidence.kind === 'bearer' ? evidence.bearer : undefined
  return explainRule(rule, { identity, address }, token) ?? OTHER_CREDENTIAL
}

function principalOf(evidence: KnownEvidence) {
  return evidence.kind === 'session' ? evidence.session : evidence.bearer
}

/** Returns whether a verdict is about a token that is not valid, or has been used before. */
function refusesToken(verdict: Verdict): boolean {
  return (
    verdict.kind === 'refuse-token' && verdict.fault !== undefined && !isOfValidToken(verdict.fault)
  )
}
