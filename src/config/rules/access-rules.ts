import type { AccessRule, TokenRule } from '../../core/access/access-rule.ts'
import { type AllowedUsers, parseEmail } from '../../core/access/allowed-users.ts'
import type { RuleSet } from '../../core/access/rule-set.ts'
import { isMethod } from '../../core/forwarded-request.ts'
import { compilePathPattern, type PathPattern } from '../../core/path-pattern.ts'
import { type HostPattern, parseHostPattern } from '../../core/site.ts'
import { sha256 } from '../../crypto/digest.ts'
import { attempt } from '../attempt.ts'
import { refuseCutEntries } from '../settings/distinguished-name.ts'
import type { Settings } from '../settings/settings.ts'
import { compileBearer } from './bearer-rule.ts'
import type { RuleSource } from './rules-file.ts'

/** Compiles the rules of the file, then `PUBLIC_PATHS`, then one rule for the users that the environment allows. */
export function compileRules(
  settings: Settings,
  /** `undefined` for a file that cannot be used. */
  sources: readonly RuleSource[] | undefined,
  problems: string[],
): RuleSet {
  const rules = (sources ?? []).map((source, index) =>
    compileRule(source, index, settings, problems),
  )
  const nextName = () => String(rules.length + 1)
  if (settings.PUBLIC_PATHS.length > 0) {
    const paths = compilePaths(settings.PUBLIC_PATHS, 'PUBLIC_PATHS', problems)
    rules.push({ name: nextName(), paths, access: 'public', passesPreflight: false })
  }
  const lists = {
    emails: settings.ALLOWED_EMAILS,
    emailDomains: settings.ALLOWED_EMAIL_DOMAINS,
    groups: settings.ALLOWED_GROUPS,
  }
  const named = namedUsers(lists, 'ALLOWED_…', problems)
  if (settings.ALLOW_ANY_USER && named) {
    problems.push('ALLOW_ANY_USER: is true, and ALLOWED_… names users too: remove one of them')
  }
  const signedIn = { name: nextName(), access: 'signed-in', passesPreflight: false } as const
  if (settings.ALLOW_ANY_USER) rules.push(signedIn)
  else if (named) rules.push({ ...signedIn, allowed: named })
  else if (sources && rules.length === 0) {
    problems.push(
      'Nobody may enter: set ALLOWED_EMAILS, ALLOWED_EMAIL_DOMAINS or ALLOWED_GROUPS, PUBLIC_PATHS, write rules, or set ALLOW_ANY_USER=true',
    )
  }
  const written = [sources, settings.PUBLIC_PATHS, settings.ALLOW_ANY_USER, lists]
  return {
    rules,
    policies: new Map(),
    claims: [],
    issuers: new Set(rules.flatMap(issuersOf)),
    fingerprint: sha256(JSON.stringify(written)),
  }
}

function issuersOf(rule: AccessRule): readonly string[] {
  return rule.access === 'signed-in' && rule.bearer ? [...rule.bearer.requirement.issuers] : []
}

function compileRule(
  source: RuleSource,
  index: number,
  settings: Settings,
  problems: string[],
): AccessRule {
  const { access, hosts, paths } = source
  const where = `rules.${index}`
  const methods = source.methods && compileMethods(source.methods, where, problems)
  const allowed = namedUsers(
    { emails: source.emails, emailDomains: source.emailDomains, groups: source.groups },
    where,
    problems,
  )
  if (allowed && access !== 'signed-in') {
    problems.push(`${where}: emails, emailDomains and groups belong to access: signed-in`)
  }
  attempt(`${where}.groups`, 'see configuration.md', problems, () =>
    refuseCutEntries(source.groups ?? []),
  )
  const bearer = compileTokens(source, where, settings, problems)
  const common = {
    name: String(index + 1),
    passesPreflight: source.preflight === 'pass',
    deniesDegraded: source.degraded === 'deny',
    ...(hosts && { hosts: compileHosts(hosts, where, problems) }),
    ...(paths && { paths: compilePaths(paths, `${where}.paths`, problems) }),
    ...(methods && { methods }),
  }
  return access === 'signed-in'
    ? { ...common, access, ...(allowed && { allowed }), ...(bearer && { bearer }) }
    : { ...common, access }
}

function compileTokens(
  { bearer, oneTime, access }: RuleSource,
  where: string,
  settings: Settings,
  problems: string[],
): TokenRule | undefined {
  if (bearer && access !== 'signed-in') {
    problems.push(`${where}.bearer: belongs to access: signed-in`)
  }
  if (oneTime && !bearer) problems.push(`${where}.oneTime: belongs to a rule with bearer`)
  if (!bearer) return undefined
  const requirement = compileBearer(bearer, `${where}.bearer`, settings, problems)
  return { requirement, isOneTime: oneTime === true }
}

/** Compiles methods; `HEAD` counts as `GET`. */
function compileMethods(
  sources: readonly string[],
  where: string,
  problems: string[],
): ReadonlySet<string> {
  const methods = sources.map((method) => (method === 'HEAD' ? 'GET' : method))
  if (!methods.every(isMethod)) {
    problems.push(`${where}.methods: write methods in capitals`)
  }
  return new Set(methods)
}

function compileHosts(
  sources: readonly string[],
  where: string,
  problems: string[],
): HostPattern[] {
  return sources.flatMap((source) => {
    const host = parseHostPattern(source)
    if (!host) problems.push(`${where}.hosts: ${source} is not a host`)
    return host ? [host] : []
  })
}

function compilePaths(
  sources: readonly string[],
  where: string,
  problems: string[],
): PathPattern[] {
  return sources.flatMap((source) => {
    try {
      return [compilePathPattern(source)]
    } catch (error) {
      const oneLine = source.replace(/\p{Cc}+/gu, '\ufffd')
      problems.push(`${where}: ${oneLine}: ${(error as Error).message}`)
      return []
    }
  })
}

interface NamedUsers {
  readonly emails: readonly string[] | undefined
  readonly emailDomains: readonly string[] | undefined
  readonly groups: readonly string[] | undefined
}

function namedUsers(
  { emails, emailDomains, groups }: NamedUsers,
  where: string,
  problems: string[],
): AllowedUsers | undefined {
  const lists = [emails, emailDomains, groups]
  if (lists.every((entries) => entries === undefined || entries.length === 0)) return undefined
  for (const entry of [...(emails ?? []), ...(emailDomains ?? []).map((domain) => `a@${domain}`)]) {
    if (!parseEmail(entry))
      problems.push(`${where}: ${entry.replace(/^a@/, '')} is not an e-mail address or domain`)
  }
  return {
    emails: new Set(emails?.map((email) => email.toLowerCase())),
    emailDomains: new Set(emailDomains?.map((domain) => domain.toLowerCase())),
    groups: new Set(groups),
  }
}
