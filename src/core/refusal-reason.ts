import { type AccessRule, type AllowedUsers, isAllowed } from './access-rule.ts'
import type { ForwardedRequest } from './forwarded-request.ts'
import type { Identity } from './identity.ts'
import { createRuleFinder } from './rule-finder.ts'

/** Reason for which the rules refuse a known user, without anything that tells who it is (finding C53). */
export interface RefusalReason {
  readonly code: 'no_rule' | 'access_deny' | 'not_listed'
  /** Position of the rule, counted from 1 as `check-config` prints it. */
  readonly rule?: number
  /** Lists of the rule of which any one would have been enough. */
  readonly asks?: readonly (keyof AllowedUsers)[]
  readonly reason: string
}

/**
 * Creates the function that explains a refusal. It matches the rules once more, so that a request that passes pays
 * nothing for it.
 */
export function createRefusalReasons(
  rules: readonly AccessRule[],
): (request: ForwardedRequest, identity: Identity) => RefusalReason {
  const findRules = createRuleFinder(rules)

  function explain(rule: AccessRule | undefined, identity: Identity): RefusalReason | undefined {
    if (!rule) return NO_RULE
    const position = rules.indexOf(rule) + 1
    if (rule.access === 'deny') {
      return { code: 'access_deny', rule: position, reason: 'the rule has access: deny' }
    }
    if (rule.access !== 'signed-in' || isAllowed(rule.allowed, identity)) return undefined
    const { allowed } = rule
    const asks = LISTS.filter((list) => allowed !== undefined && allowed[list].size > 0)
    return { code: 'not_listed', rule: position, asks, reason: reasonOf(asks, identity) }
  }

  return (request, identity) => {
    for (const rule of findRules(request)) {
      const reason = explain(rule, identity)
      if (reason) return reason
    }
    return NOTHING_IN_COMMON
  }
}

const LISTS = ['groups', 'emails', 'emailDomains'] as const

const NO_RULE: RefusalReason = { code: 'no_rule', reason: 'no rule matches' }
const NOTHING_IN_COMMON: RefusalReason = {
  code: 'access_deny',
  reason: 'the path has several readings, whose rules take no credential in common',
}

function reasonOf(asks: readonly (keyof AllowedUsers)[], { groups, email }: Identity): string {
  const missed = [
    ...(asks.includes('groups') ? [groupsMissed(groups)] : []),
    ...(asks.some((list) => list !== 'groups') ? [emailMissed(email)] : []),
  ]
  return missed.join('; ')
}

function groupsMissed(groups: readonly string[]): string {
  return groups.length === 0
    ? 'the session has no groups'
    : "the groups of the session hold none of the rule's"
}

function emailMissed(email: string | undefined): string {
  return email === undefined
    ? 'the session has no e-mail address that counts'
    : 'the e-mail address of the session is not on the lists of the rule'
}
