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
  const undemanded = new Map(rules.map((rule) => [rule, combineRules([rule], undefined)]))
  const demanded = new WeakMap<Demand, Map<AccessRule, Access>>()

  /** Returns the access of a rule that is found alone, as most are, which is made once and not with each request. */
  function accessOf(rule: AccessRule, demand: Demand | undefined): Access | undefined {
    if (!demand) return undemanded.get(rule)
    return demanded
      .getOrInsertComputed(demand, () => new Map())
      .getOrInsertComputed(rule, () => combineRules([rule], demand))
  }

  return (request, demand) => {
    const found = find(request)
    const [first] = found
    return (found.length === 1 && first && accessOf(first, demand)) || combineRules(found, demand)
  }
}
