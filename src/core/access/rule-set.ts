import { type AccessFinder, createAccessFinder } from './access-finder.ts'
import type { AccessRule } from './access-rule.ts'
import type { Condition } from './condition.ts'
import { createDemandReader, type ReadDemand } from './demand.ts'
import { createRefusalReasons, type ExplainRefusal } from './refusal-reason.ts'
import { createRuleFinder, type RuleFinder } from './rule-finder.ts'

/** Rules and policies as compiled from one state of the configuration. */
export interface RuleSet {
  readonly rules: readonly AccessRule[]
  /** Named conditions, for rules and for the address of the middleware. */
  readonly policies: ReadonlyMap<string, Condition>
  /** Names of the claims that conditions compare, each once. */
  readonly claims: readonly string[]
  /** Issuers whose tokens at least one rule accepts. */
  readonly issuers: ReadonlySet<string>
  /** Digest of what was written, by which replicas tell whether they have the same. */
  readonly fingerprint: string
}

/** Rule set in force, with what is made of it once. */
export interface Rules extends Pick<RuleFinder<AccessRule>, 'findReported' | 'findPerReading'> {
  readonly set: RuleSet
  readonly readDemand: ReadDemand
  readonly findAccess: AccessFinder
  readonly explainRefusal: ExplainRefusal
}

/** Rules in force now; a request keeps those with which it began. */
export interface LiveRules {
  readonly current: Rules
}

export function createRules(set: RuleSet): Rules {
  const finder = createRuleFinder(set.rules)
  return {
    set,
    readDemand: createDemandReader(set.policies),
    findAccess: createAccessFinder(set.rules, finder),
    findReported: finder.findReported,
    findPerReading: finder.findPerReading,
    explainRefusal: createRefusalReasons(finder),
  }
}
