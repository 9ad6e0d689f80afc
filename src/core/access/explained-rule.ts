import { decide, type Evidence } from '../decision.ts'
import type { RequestClass } from '../request-class.ts'
import type { AccessRule, SignedInRule } from './access-rule.ts'
import type { AllowedUsers } from './allowed-users.ts'
import { combineRules } from './combine-rules.ts'
import type { Condition, Requester, RequiredCondition } from './condition.ts'
import { type ConditionTrace, traceCondition } from './trace-condition.ts'

/** Rule that matches, with what decided. */
export interface ExplainedRule {
  readonly name: string
  readonly access: AccessRule['access']
  /** Whether the rule alone lets the request pass; absent where nobody is there whom it could permit. */
  readonly permits?: boolean
  /** Whether tokens count besides sessions, or alone. */
  readonly tokens?: 'accepted' | 'only'
  /** Lists of the rule, of which one is enough. */
  readonly lists?: ConditionTrace
  /** Conditions of `allow` and `policy`, all of which are needed. */
  readonly conditions: readonly ExplainedCondition[]
}

/** Condition with the name of its policy. */
export interface ExplainedCondition extends ConditionTrace {
  readonly policy?: string
}

/** Request for which rules are explained. */
export interface ExplainedRequest {
  readonly requestClass: RequestClass
  readonly evidence: Evidence
  /** Person asked about, or one of whom nothing is known where nobody is signed in. */
  readonly requester: Requester
}

/** Explains one rule by itself. */
export function explainRule(
  rule: AccessRule,
  { requestClass, evidence, requester }: ExplainedRequest,
): ExplainedRule {
  const verdict = decide(combineRules([rule], undefined), requestClass, evidence, requester.address)
  // Strangers do not count in reports.
  const isOpen = verdict.kind === 'sign-in' || (rule.isReport && evidence.kind === 'none')
  return {
    name: rule.name,
    access: rule.access,
    ...(!isOpen && { permits: verdict.kind === 'allow' }),
    ...(rule.access === 'signed-in' ? explainDemands(rule, requester) : { conditions: [] }),
  }
}

/** Explains conditions, each with all of its parts. */
export function explainConditions(
  conditions: readonly RequiredCondition[],
  requester: Requester,
): readonly ExplainedCondition[] {
  return conditions.map(({ condition, policy }) => ({
    ...(policy !== undefined && { policy }),
    ...traceCondition(condition, requester),
  }))
}

function explainDemands(rule: SignedInRule, requester: Requester) {
  const { allowed, bearer, conditions = [] } = rule
  return {
    ...(bearer && { tokens: bearer.isOneTime ? ('only' as const) : ('accepted' as const) }),
    ...(allowed && { lists: traceCondition(anyOf(allowed), requester) }),
    conditions: explainConditions(conditions, requester),
  }
}

/** Returns the short lists as the condition that they amount to. */
function anyOf(allowed: AllowedUsers): Condition {
  const kinds = (['groups', 'emails', 'emailDomains'] as const).filter(
    (kind) => allowed[kind].size > 0,
  )
  return { kind: 'any', of: kinds.map((kind) => ({ kind, values: allowed[kind] })) }
}
