import type { BearerAccess, BearerRequirement } from '../bearer.ts'
import type { AllowedUsers } from './allowed-users.ts'
import type { Requester, RequiredCondition } from './condition.ts'
import type { RuleConditions } from './rules-by-path.ts'

/** Compiled rule. */
export type AccessRule = OpenRule | SignedInRule

interface CommonRule extends RuleConditions {
  /** Name as given, else the rule's position, counted from 1 as `check-config` prints it. */
  readonly name: string
  /** Refuses sessions and tokens that cannot be verified during an outage. */
  readonly deniesDegraded?: boolean
  readonly passesPreflight: boolean
}

/** Rule for everybody or for nobody; `optional` lets everybody pass and tells apps who is signed in. */
interface OpenRule extends CommonRule {
  readonly access: 'public' | 'optional' | 'deny'
}

/** Rule for users and programs. */
export interface SignedInRule extends CommonRule {
  readonly access: 'signed-in'
  /** Permitted users; absent means every signed-in user. */
  readonly allowed?: AllowedUsers
  /** Conditions of `allow` and `policy`, all of which must hold beside the lists. */
  readonly conditions?: readonly RequiredCondition[]
  /** Tokens accepted besides sessions; absent means that `Authorization` belongs to the app. */
  readonly bearer?: TokenRule
}

/** Tokens that a rule accepts. */
export interface TokenRule {
  readonly requirement: BearerRequirement
  /** Accepts tokens only, each of them once. */
  readonly isOneTime: boolean
}

/** Combined effect of all rules that apply to a request. */
export type Access = { readonly kind: 'public' | 'deny' } | OptionalAccess | SignedInAccess

/** Access for everybody, with the identity of those who are signed in. */
export interface OptionalAccess {
  readonly kind: 'optional'
  /** True where sessions that cannot be verified during an outage count as none. */
  readonly deniesDegraded: boolean
}

/** Access that depends on credentials. */
export interface SignedInAccess {
  readonly kind: 'signed-in'
  readonly passesPreflight: boolean
  /** Conditions on tokens; absent where `Authorization` belongs to the app. */
  readonly bearer?: BearerAccess
  /** True where sessions that cannot be verified during an outage are refused. */
  readonly deniesDegraded: boolean
  /** True where a condition looks at the client's address. */
  readonly needsAddress: boolean
  permits(requester: Requester): boolean
}

/** Returns whether a token in `Authorization` counts; elsewhere that header belongs to the app. */
export function takesTokens(access: Access): boolean {
  return access.kind === 'signed-in' && access.bearer !== undefined
}

/** Returns whether sessions are refused even where they are valid. */
export function takesTokensOnly(access: Access): boolean {
  return access.kind === 'signed-in' && access.bearer?.isOneTime === true
}

/** Returns whether a session that cannot be verified during an outage is accepted. */
export function allowsDegraded(access: Access): boolean {
  return (access.kind === 'signed-in' || access.kind === 'optional') && !access.deniesDegraded
}
