import type { BearerAccess, BearerRequirement } from './bearer.ts'
import type { ForwardedRequest } from './forwarded-request.ts'
import type { Identity } from './identity.ts'
import { createRuleFinder, type RuleConditions } from './rule-finder.ts'

/** Compiled rule. */
export type AccessRule = OpenRule | SignedInRule

interface CommonRule extends RuleConditions {
  /** Refuses sessions and tokens that cannot be verified during an outage. */
  readonly deniesDegraded?: boolean
  readonly passesPreflight: boolean
}

/** Rule for everybody or for nobody. */
interface OpenRule extends CommonRule {
  readonly access: 'public' | 'deny'
}

/** Rule for users and programs. */
export interface SignedInRule extends CommonRule {
  readonly access: 'signed-in'
  /** Permitted users; absent means every signed-in user. */
  readonly allowed?: AllowedUsers
  /** Tokens accepted besides sessions; absent means that `Authorization` belongs to the app. */
  readonly bearer?: TokenRule
}

/** Tokens that a rule accepts. */
export interface TokenRule {
  readonly requirement: BearerRequirement
  /** Accepts tokens only, each of them once. */
  readonly isOneTime: boolean
}

/** Permitted users; a user that any of the lists names is permitted. */
export interface AllowedUsers {
  readonly emails: ReadonlySet<string>
  readonly emailDomains: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
}

/** Combined effect of all rules that apply to a request. */
export type Access = { readonly kind: 'public' } | SignedInAccess | { readonly kind: 'deny' }

/** Access that depends on credentials. */
export interface SignedInAccess {
  readonly kind: 'signed-in'
  readonly passesPreflight: boolean
  /** Conditions on tokens; absent where `Authorization` belongs to the app. */
  readonly bearer?: BearerAccess
  /** True where sessions that cannot be verified during an outage are refused. */
  readonly deniesDegraded: boolean
  permits(identity: Identity): boolean
}

/** Returns the access that the rules give a request. */
export type AccessFinder = (request: ForwardedRequest) => Access

/**
 * Finds the first matching rule for each reading and comparison of the path and requires all of them, because ambiguity
 * must never widen access (threats A15-A19). Denies a request without a rule.
 */
export function createAccessFinder(rules: readonly AccessRule[]): AccessFinder {
  const alone = new Map(rules.map((rule) => [rule, combine([rule])]))
  const findRules = createRuleFinder(rules)
  return (request) => {
    const found = findRules(request)
    const [first] = found
    return (found.length === 1 && first && alone.get(first)) || combine(found)
  }
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
  return access.kind === 'signed-in' && !access.deniesDegraded
}

function combine(found: readonly (AccessRule | undefined)[]): Access {
  const rules = found.filter((rule) => rule !== undefined)
  if (rules.length < found.length || rules.some((rule) => rule.access === 'deny'))
    return { kind: 'deny' }
  const tokens = rules.flatMap((rule) => (rule.access === 'signed-in' ? (rule.bearer ?? []) : []))
  const isOneTime = tokens.some((each) => each.isOneTime)
  // Tokens count only where every rule found accepts them.
  const takesTokens = tokens.length === rules.length
  // Denies, because no credential meets both a rule for tokens only and a rule without tokens.
  if (isOneTime && !takesTokens) return { kind: 'deny' }
  if (rules.every((rule) => rule.access === 'public')) return { kind: 'public' }
  const requirements = tokens.map(({ requirement }) => requirement)
  return {
    kind: 'signed-in',
    passesPreflight: rules.every((rule) => rule.passesPreflight),
    deniesDegraded: rules.some((rule) => rule.deniesDegraded),
    permits: (identity) => rules.every((rule) => permits(rule, identity)),
    ...(takesTokens && { bearer: { requirements, isOneTime } }),
  }
}

function permits(rule: AccessRule, identity: Identity): boolean {
  return rule.access !== 'signed-in' || isAllowed(rule.allowed, identity)
}

/** Compares by set membership, never by prefix or substring (threats A35, A36). */
export function isAllowed(allowed: AllowedUsers | undefined, identity: Identity): boolean {
  if (!allowed) return true
  if (identity.groups.some((group) => allowed.groups.has(group))) return true
  const address = identity.email === undefined ? undefined : parseEmail(identity.email)
  if (!address) return false
  return allowed.emails.has(address.email) || allowed.emailDomains.has(address.domain)
}

const EMAIL = /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}$/i

/** Returns address and domain in lower case; `undefined` unless plain ASCII with exactly one `@` (threat A36). */
export function parseEmail(value: string): { email: string; domain: string } | undefined {
  // Precedes the folding, because some letters beyond ASCII fold into ASCII.
  if (!EMAIL.test(value)) return undefined
  const email = value.toLowerCase()
  return { email, domain: email.slice(email.indexOf('@') + 1) }
}
