import type { ForwardedRequest } from '../forwarded-request.ts'
import type { Access, AccessRule } from './access-rule.ts'
import { combineRules } from './combine-rules.ts'
import type { Demand } from './demand.ts'
import { createRuleFinder, type RuleFinder } from './rule-finder.ts'

/** Returns the access that the rules, and what the middleware demands beside them, give a request. */
export type AccessFinder = (request: ForwardedRequest, demand?: Demand) => Access

/**
 * Finds the first matching rule for each reading and comparison of the path and requires all of them, because ambiguity
 * must never widen access (threats A15-A19). Denies a request without a rule.
 */
export function createAccessFinder(
  rules: readonly AccessRule[],
  { find }: RuleFinder<AccessRule> = createRuleFinder(rules),
): AccessFinder {
  const undemanded = accessOfEach(rules)
  const demanded = new WeakMap<Demand, ReadonlyMap<AccessRule, Access>>()
  return (request, demand) => {
    const found = find(request)
    const [first] = found
    const alone = demand
      ? demanded.getOrInsertComputed(demand, () => accessOfEach(rules, demand))
      : undemanded
    return (found.length === 1 && first && alone.get(first)) || combineRules(found, demand)
  }
}

/** Makes the access of each rule that is found alone, as most are, once and not with each request. */
function accessOfEach(
  rules: readonly AccessRule[],
  demand?: Demand,
): ReadonlyMap<AccessRule, Access> {
  return new Map(rules.map((rule) => [rule, combineRules([rule], demand)]))
}
