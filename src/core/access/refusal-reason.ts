import { type Bearer, faultOf } from '../bearer.ts'
import type { ForwardedRequest } from '../forwarded-request.ts'
import type { Identity } from '../identity.ts'
import type { AccessRule, SignedInRule } from './access-rule.ts'
import { type AllowedUsers, isAllowed } from './allowed-users.ts'
import { createRuleFinder } from './rule-finder.ts'

/** Reason for which the rules refuse a known user, without anything that tells who it is (finding C53). */
export interface RefusalReason {
  readonly code: 'no_rule' | 'access_deny' | 'not_listed' | 'insufficient_scope' | 'token_claims'
  /** Name of the rule. */
  readonly rule?: string
  /** Lists of the rule of which any one would have been enough. */
  readonly asks?: readonly (keyof AllowedUsers)[]
  readonly reason: string
}

/** Returns why no rule lets a user pass; `token` is what the user was known by, where that was no session. */
export type ExplainRefusal = (
  request: ForwardedRequest,
  identity: Identity,
  token?: Bearer,
) => RefusalReason

/**
 * Creates the function that explains a refusal. It matches the rules once more, so that a request that passes pays
 * nothing for it.
 */
export function createRefusalReasons(rules: readonly AccessRule[]): ExplainRefusal {
  const { find: findRules } = createRuleFinder(rules)

  function explain(
    rule: AccessRule | undefined,
    identity: Identity,
    token: Bearer | undefined,
  ): RefusalReason | undefined {
    if (!rule) return NO_RULE
    const { name } = rule
    if (rule.access === 'deny') {
      return { code: 'access_deny', rule: name, reason: 'the rule has access: deny' }
    }
    if (rule.access !== 'signed-in') return undefined
    const why = (token && missingInToken(rule, token)) ?? missingOnLists(rule, identity, token)
    return why && { rule: name, ...why }
  }

  return (request, identity, token) => {
    for (const rule of findRules(request)) {
      const reason = explain(rule, identity, token)
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

/** Names what the rule asks of tokens; the values are the operator's, never those of the token. */
function missingInToken({ bearer }: SignedInRule, token: Bearer): RefusalReason | undefined {
  if (!bearer) return undefined
  const { requirement, isOneTime } = bearer
  const fault = faultOf(token, { requirements: [requirement], isOneTime })
  if (fault?.error === 'insufficient_scope') {
    const reason = `the token lacks one of the scopes ${requirement.scopes.join(' ')}`
    return { code: 'insufficient_scope', reason }
  }
  if (fault?.error !== 'forbidden') return undefined
  const names = [...requirement.claims.keys()].join(', ')
  return {
    code: 'token_claims',
    reason: `the token lacks a value that the rule asks for: ${names}`,
  }
}

function missingOnLists(
  { allowed }: SignedInRule,
  identity: Identity,
  token: Bearer | undefined,
): RefusalReason | undefined {
  if (isAllowed(allowed, identity)) return undefined
  const asks = LISTS.filter((list) => allowed !== undefined && allowed[list].size > 0)
  const { groups, email } = identity
  const whose = token ? 'token' : 'session'
  const missed = [
    ...(asks.includes('groups') ? [groupsMissed(groups, whose)] : []),
    ...(asks.some((list) => list !== 'groups') ? [emailMissed(email, whose)] : []),
  ]
  return { code: 'not_listed', asks, reason: missed.join('; ') }
}

function groupsMissed(groups: readonly string[], whose: string): string {
  return groups.length === 0
    ? `the ${whose} has no groups`
    : `the groups of the ${whose} hold none of the rule's`
}

function emailMissed(email: string | undefined, whose: string): string {
  return email === undefined
    ? `the ${whose} has no e-mail address that counts`
    : `the e-mail address of the ${whose} is not on the lists of the rule`
}
