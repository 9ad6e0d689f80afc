import type { ForwardedRequest } from './forwarded-request.ts'
import type { Identity } from './identity.ts'
import type { PathPattern } from './path-pattern.ts'
import { isUnambiguous } from './path-readings.ts'
import { type HostPattern, matchesHost, parseHost } from './site.ts'

/** One rule, compiled. An absent condition matches everything. */
export interface AccessRule {
  readonly hosts?: readonly HostPattern[]
  readonly paths?: readonly PathPattern[]
  readonly methods?: ReadonlySet<string>
  readonly access: 'public' | 'signed-in' | 'deny'
  /** Who may enter a `signed-in` rule; absent = every signed-in user. Somebody named by any list may enter. */
  readonly allowed?: AllowedUsers
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
  permits(identity: Identity): boolean
}

/** Finds what a request needs. */
export type AccessFinder = (request: ForwardedRequest) => Access

/**
 * The first matching rule wins, once for every way the path may be read, and all rules found must be met: an
 * ambiguous path can only lose access, and no public rule matches it at all (threats A15-A19). No rule = denied.
 */
export function createAccessFinder(rules: readonly AccessRule[]): AccessFinder {
  const alone = new Map(rules.map((rule) => [rule, combine([rule])]))
  return (request) => {
    const isClear = request.readings.length === 1 || isUnambiguous(request.path)
    const found = request.readings.map((path, index) =>
      rules.find(
        (rule) => (isClear || rule.access !== 'public') && matches(rule, request, path, index > 0),
      ),
    )
    const [only] = found
    if (found.length > 1 || only === undefined) return combine(found)
    return alone.get(only) ?? DENIED
  }
}

const DENIED: Access = { kind: 'deny', passesPreflight: false, permits: () => false }

function combine(found: readonly (AccessRule | undefined)[]): Access {
  const rules = found.filter((rule) => rule !== undefined)
  if (rules.length < found.length || rules.some((rule) => rule.access === 'deny')) return DENIED
  return {
    kind: rules.every((rule) => rule.access === 'public') ? 'public' : 'signed-in',
    passesPreflight: rules.every((rule) => rule.passesPreflight),
    permits: (identity) => rules.every((rule) => isAllowed(rule.allowed, identity)),
  }
}

function matches(
  rule: AccessRule,
  request: ForwardedRequest,
  path: string,
  generously: boolean,
): boolean {
  const method = request.method === 'HEAD' ? 'GET' : request.method
  return (
    (!rule.methods || rule.methods.has(method)) &&
    (!rule.hosts || rule.hosts.some((host) => isHost(host, request.site.host))) &&
    (!rule.paths || rule.paths.some((pattern) => pattern.matches(path, generously)))
  )
}

function isHost(pattern: HostPattern, value: string): boolean {
  const host = parseHost(value)
  return host !== undefined && matchesHost(pattern, host.hostname, host.port)
}

/** Set membership only: no prefixes, no substrings (threats A35, A36). */
function isAllowed(allowed: AllowedUsers | undefined, identity: Identity): boolean {
  if (!allowed) return true
  if (identity.groups.some((group) => allowed.groups.has(group))) return true
  const address = identity.email === undefined ? undefined : parseEmail(identity.email)
  if (!address) return false
  return allowed.emails.has(address.email) || allowed.emailDomains.has(address.domain)
}

/** Lower-cased address and domain; nothing unless it is plain ASCII with exactly one `@`. */
export function parseEmail(value: string): { email: string; domain: string } | undefined {
  const email = value.toLowerCase()
  const match = /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@((?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63})$/.exec(
    email,
  )
  return match?.[1] === undefined ? undefined : { email, domain: match[1] }
}
