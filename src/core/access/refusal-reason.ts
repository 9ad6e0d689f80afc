import { type Bearer, faultOf } from '../bearer.ts'
import type { ForwardedRequest } from '../forwarded-request.ts'
import { areGroupsKnown, type Identity } from '../identity.ts'
import type { Access, AccessRule, SignedInRule } from './access-rule.ts'
import { type AllowedUsers, filledLists, isAllowed } from './allowed-users.ts'
import type { Requester, RequiredCondition } from './condition.ts'
import { reasonFor } from './condition-reason.ts'
import type { Demand } from './demand.ts'
import type { RuleFinder } from './rule-finder.ts'

/** Reason for which a known user is refused, without anything that tells who it is (finding C53). */
export interface RefusalReason {
  readonly code:
    | 'no_rule'
    | 'access_deny'
    | 'not_listed'
    | 'insufficient_scope'
    | 'token_claims'
    | 'condition'
    | 'policy'
    | 'demanded_policy'
    | 'demanded_groups'
    | 'credential'
  /** Name of the rule; absent where none matches, and for what the address of the middleware demands. */
  readonly rule?: string
  /** Name of the policy that is not met. */
  readonly policy?: string
  /** Lists of the rule of which any one would have been enough. */
  readonly asks?: readonly (keyof AllowedUsers)[]
  readonly reason: string
}

/** Refused request, with what the address of its middleware demands and the address of its client. */
export interface RefusedRequest {
  readonly request: ForwardedRequest
  readonly access: Access
  readonly demand?: Demand | undefined
  readonly address?: string | undefined
}

/** Returns why a user may not pass; `token` is what the user was known by, where that was no session. */
export type ExplainRefusal = (
  refused: RefusedRequest,
  identity: Identity,
  token?: Bearer,
) => RefusalReason

/**
 * Creates the function that explains a refusal. It matches the rules once more, so that a request that passes pays
 * nothing for it.
 */
export function createRefusalReasons({
  find,
}: Pick<RuleFinder<AccessRule>, 'find'>): ExplainRefusal {
  return ({ request, access, demand, address }, identity, token) => {
    const found = find(request)
    const requester = { identity, address }
    const reasons =
      access.kind === 'deny'
        ? found.map(denialOf)
        : [
            ...found.map((rule) => rule && explainRule(rule, requester, token)),
            missingOfDemand(demand, requester),
          ]
    return reasons.find((reason) => reason !== undefined) ?? NOTHING_IN_COMMON
  }
}

/** Returns why a rule, or the want of one, refuses everybody; `undefined` where it does not. */
function denialOf(rule: AccessRule | undefined): RefusalReason | undefined {
  if (!rule) return { code: 'no_rule', reason: 'no rule matches' }
  if (rule.access !== 'deny') return undefined
  return { code: 'access_deny', rule: rule.name, reason: 'the rule has access: deny' }
}

/** Returns why a rule refuses a user; `undefined` where it does not, or only for the kind of credential. */
export function explainRule(
  rule: AccessRule,
  requester: Requester,
  token: Bearer | undefined,
): RefusalReason | undefined {
  if (rule.access !== 'signed-in') return denialOf(rule)
  const missing =
    (token && missingInToken(rule, token)) ??
    missingOnLists(rule, requester.identity, token) ??
    missingOfConditions(rule, requester)
  return missing && { rule: rule.name, ...missing }
}

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
  if (!allowed || isAllowed(allowed, identity)) return undefined
  const asks = filledLists(allowed)
  const { email } = identity
  const whose = token ? 'token' : 'session'
  const missed = [
    ...(asks.includes('groups') ? [groupsMissed(identity, whose)] : []),
    ...(asks.some((list) => list !== 'groups') ? [emailMissed(email, whose)] : []),
  ]
  return { code: 'not_listed', asks, reason: missed.join('; ') }
}

function groupsMissed(identity: Identity, whose: string): string {
  if (identity.groups.length > 0) return `the groups of the ${whose} hold none of the rule's`
  return areGroupsKnown(identity)
    ? `the ${whose} has no groups`
    : `the groups of the ${whose} are not known`
}

function emailMissed(email: string | undefined, whose: string): string {
  return email === undefined
    ? `the ${whose} has no e-mail address that counts`
    : `the e-mail address of the ${whose} is not on the lists of the rule`
}

function missingOfConditions(
  { conditions = [] }: SignedInRule,
  requester: Requester,
): RefusalReason | undefined {
  const missed = firstMissed(conditions, requester)
  return missed && { code: missed.policy === undefined ? 'condition' : 'policy', ...missed }
}

function missingOfDemand(
  demand: Demand | undefined,
  requester: Requester,
): RefusalReason | undefined {
  const missed = firstMissed(demand?.conditions ?? [], requester)
  return (
    missed && {
      code: missed.policy === undefined ? 'demanded_groups' : 'demanded_policy',
      ...missed,
      reason: `the address of the middleware demands what is not met: ${missed.reason}`,
    }
  )
}

function firstMissed(
  conditions: readonly RequiredCondition[],
  requester: Requester,
): Pick<RefusalReason, 'policy' | 'reason'> | undefined {
  for (const { condition, policy } of conditions) {
    const reason = reasonFor(condition, requester)
    if (reason !== undefined) return { ...(policy !== undefined && { policy }), reason }
  }
  return undefined
}
