import { decide, type Evidence } from '../../decision.ts'
import type { RequestClass } from '../../request-class.ts'
import type { AccessRule, SignedInRule } from '../access-rule.ts'
import { type AllowedUsers, filledLists } from '../allowed-users.ts'
import { combineRules } from '../combine-rules.ts'
import type { Condition, Requester, RequiredCondition } from '../condition.ts'
import { type ConditionTrace, traceCondition } from './trace-condition.ts'

/** Rule with its truth for one requester, and what decided. */
export interface RuleTrace {
  readonly name: string
  readonly access: AccessRule['access']
  /** Whether the rule alone lets the request pass; absent where nobody is there whom it could permit. */
  readonly permits?: boolean
  /** Whether tokens count besides sessions, or alone. */
  readonly tokens?: 'accepted' | 'only'
  /** Lists of the rule, of which one is enough. */
  readonly lists?: ConditionTrace
  /** Conditions of `allow` and `policy`, all of which are needed. */
  readonly conditions: readonly RequiredTrace[]
}

/** Condition with the name of its policy. */
export interface RequiredTrace extends ConditionTrace {
  readonly policy?: string
}

/** Request for which rules are evaluated. */
export interface TracedRequest {
  readonly requestClass: RequestClass
  readonly evidence: Evidence
  /** Person asked about, or one of whom nothing is known where nobody is signed in. */
  readonly requester: Requester
}

/** Evaluates one rule by itself, with all its parts. */
export function traceRule(
  rule: AccessRule,
  { requestClass, evidence, requester }: TracedRequest,
): RuleTrace {
  const verdict = decide(combineRules([rule], undefined), requestClass, evidence, requester.address)
  // Strangers do not count in reports.
  const isOpen = verdict.kind === 'sign-in' || (rule.isReport && evidence.kind === 'none')
  return {
    name: rule.name,
    access: rule.access,
    ...(!isOpen && { permits: verdict.kind === 'allow' }),
    ...(rule.access === 'signed-in' ? traceDemands(rule, requester) : { conditions: [] }),
  }
}

/** Evaluates conditions, each with all of its parts. */
export function traceConditions(
  conditions: readonly RequiredCondition[],
  requester: Requester,
): readonly RequiredTrace[] {
  return conditions.map(({ condition, policy }) => ({
    ...(policy !== undefined && { policy }),
    ...traceCondition(condition, requester),
  }))
}

function traceDemands(rule: SignedInRule, requester: Requester) {
  const { allowed, bearer, conditions = [] } = rule
  return {
    ...(bearer && { tokens: bearer.isOneTime ? ('only' as const) : ('accepted' as const) }),
    ...(allowed && { lists: traceCondition(anyOf(allowed), requester) }),
    conditions: traceConditions(conditions, requester),
  }
}

/** Returns the short lists as the condition that they amount to. */
function anyOf(allowed: AllowedUsers): Condition {
  const of = filledLists(allowed).map((kind) => ({ kind, values: allowed[kind] }))
  return { kind: 'any', of }
}
