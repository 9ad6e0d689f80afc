import type { BearerAccess, BearerRequirement } from './bearer.ts'
import type { ForwardedRequest } from './forwarded-request.ts'
import type { Identity } from './identity.ts'
import { createRuleFinder, type RuleConditions } from './rule-finder.ts'

/** Compiled rule. */
export interface AccessRule extends RuleConditions {
  /** Users permitted by a `signed-in` rule; absent means every signed-in user. */
  readonly allowed?: AllowedUsers
  /** Accepts bearer tokens besides sessions; absent means that `Authorization` belongs to the app. */
  readonly bearer?: BearerRequirement
  /** Accepts tokens only, each of them once. */
  readonly isOneTime?: boolean
  /** Refuses sessions that cannot be verified during an outage. */
  readonly deniesDegraded?: boolean
  readonly passesPreflight: boolean
}

/** Permitted users; a user that any of the lists names is permitted. */
export interface AllowedUsers {
  readonly emails: ReadonlySet<string>
  readonly emailDomains: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
}

/** Combined effect of all rules that apply to a request. */
export interface Access {
  readonly kind: 'public' | 'signed-in' | 'deny'
  readonly passesPreflight: boolean
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

const DENIED: Access = {
  kind: 'deny',
  passesPreflight: false,
  deniesDegraded: true,
  permits: () => false,
}

function combine(found: readonly (AccessRule | undefined)[]): Access {
  const rules = found.filter((rule) => rule !== undefined)
  if (rules.length < found.length || rules.some((rule) => rule.access === 'deny')) return DENIED
  const isOneTime = rules.some((rule) => rule.isOneTime)
  const requirements = requirementsOf(rules)
  // Denies, because no credential meets both a rule for tokens only and a rule without tokens.
  if (isOneTime && !requirements) return DENIED
  return {
    kind: rules.every((rule) => rule.access === 'public') ? 'public' : 'signed-in',
    passesPreflight: rules.every((rule) => rule.passesPreflight),
    deniesDegraded: rules.some((rule) => rule.deniesDegraded),
    permits: (identity) => rules.every((rule) => isAllowed(rule.allowed, identity)),
    ...(requirements && { bearer: { requirements, isOneTime } }),
  }
}

/** Returns the conditions on tokens; `undefined` unless every rule found accepts tokens. */
function requirementsOf(rules: readonly AccessRule[]): readonly BearerRequirement[] | undefined {
  const requirements = rules.flatMap(({ bearer }) => bearer ?? [])
  return requirements.length === rules.length ? requirements : undefined
}

/** Compares by set membership, never by prefix or substring (threats A35, A36). */
function isAllowed(allowed: AllowedUsers | undefined, identity: Identity): boolean {
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
