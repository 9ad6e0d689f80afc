import type { BearerAccess, BearerRequirement } from './bearer.ts'
import type { ForwardedRequest } from './forwarded-request.ts'
import type { Identity } from './identity.ts'
import type { PathPattern } from './path-pattern.ts'
import { createRuleFinder } from './rule-finder.ts'
import type { HostPattern } from './site.ts'

/** One rule, compiled. An absent condition matches everything. */
export interface AccessRule {
  readonly hosts?: readonly HostPattern[]
  readonly paths?: readonly PathPattern[]
  readonly methods?: ReadonlySet<string>
  readonly access: 'public' | 'signed-in' | 'deny'
  /** Who may enter a `signed-in` rule; absent = every signed-in user. Somebody named by any list may enter. */
  readonly allowed?: AllowedUsers
  /** Lets tokens in beside sessions; absent = `Authorization` is the app's. */
  readonly bearer?: BearerRequirement
  /** Only a token counts, and each counts once. */
  readonly isOneTime?: boolean
  /** Nobody passes on the strength of what was known before an outage. */
  readonly deniesDegraded?: boolean
  readonly passesPreflight: boolean
}

export interface AllowedUsers {
  readonly emails: ReadonlySet<string>
  readonly emailDomains: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
}

/** What all rules that apply to a request ask for together. */
export interface Access {
  readonly kind: 'public' | 'signed-in' | 'deny'
  readonly passesPreflight: boolean
  readonly bearer?: BearerAccess
  /** Nobody passes on the strength of what was known before an outage. */
  readonly deniesDegraded: boolean
  permits(identity: Identity): boolean
}

/** Finds what a request needs. */
export type AccessFinder = (request: ForwardedRequest) => Access

/**
 * Takes the first matching rule for each reading and comparison of the path, and all rules found must be
 * met, because an ambiguous path may only lose access: no public rule matches it (threats A15-A19). No rule = denied.
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
  // No one credential meets both a rule for tokens alone and a rule without tokens.
  if (isOneTime && !requirements) return DENIED
  return {
    kind: rules.every((rule) => rule.access === 'public') ? 'public' : 'signed-in',
    passesPreflight: rules.every((rule) => rule.passesPreflight),
    deniesDegraded: rules.some((rule) => rule.deniesDegraded),
    permits: (identity) => rules.every((rule) => isAllowed(rule.allowed, identity)),
    ...(requirements && { bearer: { requirements, isOneTime } }),
  }
}

/** Tokens count only where every rule found accepts them. */
function requirementsOf(rules: readonly AccessRule[]): readonly BearerRequirement[] | undefined {
  const requirements = rules.flatMap(({ bearer }) => bearer ?? [])
  return requirements.length === rules.length ? requirements : undefined
}

/** Set membership only: no prefixes, no substrings (threats A35, A36). */
function isAllowed(allowed: AllowedUsers | undefined, identity: Identity): boolean {
  if (!allowed) return true
  if (identity.groups.some((group) => allowed.groups.has(group))) return true
  const address = identity.email === undefined ? undefined : parseEmail(identity.email)
  if (!address) return false
  return allowed.emails.has(address.email) || allowed.emailDomains.has(address.domain)
}

const EMAIL = /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}$/i

/** Lower-cased address and domain; nothing unless it is plain ASCII with exactly one `@` (threat A36). */
export function parseEmail(value: string): { email: string; domain: string } | undefined {
  // Before folding, since some letters beyond ASCII fold into it.
  if (!EMAIL.test(value)) return undefined
  const email = value.toLowerCase()
  return { email, domain: email.slice(email.indexOf('@') + 1) }
}
