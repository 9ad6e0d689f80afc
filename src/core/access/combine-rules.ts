import type { Identity } from '../identity.ts'
import type { Access, AccessRule, OptionalAccess, TokenRule } from './access-rule.ts'
import { isAllowed } from './allowed-users.ts'
import { evaluate, type RequiredCondition, usesNetworks } from './condition.ts'
import type { Demand } from './demand.ts'

const DENY: Access = { kind: 'deny' }
const PUBLIC: Access = { kind: 'public' }

/** Combines the rules found for a request, all of which must be met, and what the middleware demands beside them. */
export function combineRules(
  found: readonly (AccessRule | undefined)[],
  demand: Demand | undefined,
): Access {
  const rules = found.filter((rule) => rule !== undefined)
  const isComplete = rules.length > 0 && rules.length === found.length
  if (!isComplete || rules.some((rule) => rule.access === 'deny')) return DENY
  const tokens = rules.flatMap((rule) => (rule.access === 'signed-in' ? (rule.bearer ?? []) : []))
  const isOneTime = tokens.some((each) => each.isOneTime)
  // Tokens count only where every rule found accepts them.
  const takesTokens = tokens.length === rules.length
  // Denies, because no credential meets both a rule for tokens only and a rule without tokens.
  if (isOneTime && !takesTokens) return DENY
  if (!demand && rules.every(({ access }) => access !== 'signed-in')) return openAccess(rules)
  return {
    ...signedInAccess(rules, demand),
    ...(takesTokens && { bearer: { requirements: tokens.map(requirementOf), isOneTime } }),
  }
}

function openAccess(rules: readonly AccessRule[]): Access | OptionalAccess {
  return rules.some(({ access }) => access === 'optional')
    ? { kind: 'optional', deniesDegraded: isDegradedDenied(rules) }
    : PUBLIC
}

function signedInAccess(rules: readonly AccessRule[], demand: Demand | undefined) {
  const conditions = [...rules.flatMap(conditionsOf), ...(demand?.conditions ?? [])]
  return {
    kind: 'signed-in',
    passesPreflight: rules.every((rule) => rule.passesPreflight),
    deniesDegraded: isDegradedDenied(rules),
    needsAddress: conditions.some(({ condition }) => usesNetworks(condition)),
    permits: (requester) =>
      rules.every((rule) => isListed(rule, requester.identity)) &&
      conditions.every(({ condition }) => evaluate(condition, requester) === true),
  } satisfies Access
}

function isDegradedDenied(rules: readonly AccessRule[]): boolean {
  return rules.some((rule) => rule.deniesDegraded)
}

function isListed(rule: AccessRule, identity: Identity): boolean {
  return rule.access !== 'signed-in' || isAllowed(rule.allowed, identity)
}

function conditionsOf(rule: AccessRule): readonly RequiredCondition[] {
  return (rule.access === 'signed-in' && rule.conditions) || []
}

function requirementOf({ requirement }: TokenRule) {
  return requirement
}
