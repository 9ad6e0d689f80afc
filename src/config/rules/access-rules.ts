import type { AccessRule, TokenRule } from '../../core/access/access-rule.ts'
import type { RequiredCondition } from '../../core/access/condition.ts'
import type { RuleSet } from '../../core/access/rule-set.ts'
import { isStandard } from '../../core/identity.ts'
import { attempt } from '../attempt.ts'
import { refuseCutEntries } from '../settings/distinguished-name.ts'
import type { Settings } from '../settings/settings.ts'
import { compileBearer } from './bearer-rule.ts'
import { compileCondition } from './conditions.ts'
import { fingerprintOf } from './fingerprint.ts'
import { namedUsers } from './named-users.ts'
import { compilePolicies, conditionsIn, type Policies, partsOf, requirePolicy } from './policies.ts'
import { compileHosts, compileMethods, compilePaths } from './rule-targets.ts'
import type { RuleSource, RulesFile } from './rules-file.ts'

/** Compiles the rules of the file, then `PUBLIC_PATHS`, then one rule for the users that the environment allows. */
export function compileRules(
  settings: Settings,
  /** `undefined` for a file that cannot be used. */
  file: RulesFile | undefined,
  problems: string[],
): RuleSet {
  const policies = compilePolicies(file?.policies ?? {}, problems)
  const compiler = { settings, policies, problems }
  const rules = (file?.rules ?? []).map((source, index) => compileRule(source, index, compiler))
  refuseSameNames(file?.rules ?? [], problems)
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
  else if (file && rules.every(({ isReport }) => isReport)) {
    problems.push(
      'Nobody may enter: set ALLOWED_EMAILS, ALLOWED_EMAIL_DOMAINS or ALLOWED_GROUPS, PUBLIC_PATHS, write rules without report, or set ALLOW_ANY_USER=true',
    )
  }
  return {
    rules,
    policies,
    claims: claimsIn(rules, policies),
    issuers: new Set(rules.flatMap(issuersOf)),
    fingerprint: fingerprintOf(file, settings),
  }
}

/** Returns the issuers of the tokens that a rule accepts; one with `report` accepts none. */
function issuersOf(rule: AccessRule): readonly string[] {
  return rule.access === 'signed-in' && rule.bearer && !rule.isReport
    ? [...rule.bearer.requirement.issuers]
    : []
}

/** Returns the claims that conditions compare beside those that every identity has. */
function claimsIn(rules: readonly AccessRule[], policies: Policies): readonly string[] {
  const named = conditionsIn(rules, policies)
    .flatMap(([, condition]) => partsOf(condition))
    .flatMap((part) => (part.kind === 'claim' ? part.name : []))
  return [...new Set(named)].filter((name) => !isStandard(name))
}

/** Parts that the compilation of each rule needs. */
interface RuleCompiler {
  readonly settings: Settings
  readonly policies: Policies
  readonly problems: string[]
}

function compileRule(source: RuleSource, index: number, compiler: RuleCompiler): AccessRule {
  const { settings, problems } = compiler
  const { access, hosts, paths } = source
  const where = `rules.${index}`
  const methods = source.methods && compileMethods(source.methods, where, problems)
  const allowed = namedUsers(
    { emails: source.emails, emailDomains: source.emailDomains, groups: source.groups },
    where,
    problems,
  )
  attempt(`${where}.groups`, 'see configuration.md', problems, () =>
    refuseCutEntries(source.groups ?? []),
  )
  refuseForOpen(source, where, problems)
  const conditions = compileConditions(source, where, compiler)
  const bearer = compileTokens(source, where, settings, problems)
  const common = {
    name: source.name ?? String(index + 1),
    passesPreflight: source.preflight === 'pass',
    deniesDegraded: source.degraded === 'deny',
    ...(source.report && { isReport: true }),
    ...(hosts && { hosts: compileHosts(hosts, where, problems) }),
    ...(paths && { paths: compilePaths(paths, `${where}.paths`, problems) }),
    ...(methods && { methods }),
  }
  if (access !== 'signed-in') return { ...common, access }
  return {
    ...common,
    access,
    ...(allowed && { allowed }),
    ...(conditions.length > 0 && { conditions }),
    ...(bearer && { bearer }),
  }
}

/** Refuses what only means something for users and programs, and `report` where nobody would be refused. */
function refuseForOpen(source: RuleSource, where: string, problems: string[]): void {
  const { access, emails, emailDomains, groups, bearer, report } = source
  if (access === 'signed-in') return
  if (emails || emailDomains || groups) {
    problems.push(`${where}: emails, emailDomains and groups belong to access: signed-in`)
  }
  for (const key of ['allow', 'policy'] as const) {
    if (source[key] !== undefined) problems.push(`${where}.${key}: belongs to access: signed-in`)
  }
  if (bearer) problems.push(`${where}.bearer: belongs to access: signed-in`)
  if (report && access !== 'deny') {
    problems.push(
      `${where}.report: belongs to access: signed-in or deny, because ${access} refuses nobody`,
    )
  }
}

function compileConditions(
  { allow, policy }: RuleSource,
  where: string,
  { policies, problems }: RuleCompiler,
): RequiredCondition[] {
  return [
    ...(allow ? [{ condition: compileCondition(allow, `${where}.allow`, problems) }] : []),
    ...(policy === undefined ? [] : requirePolicy(policy, policies, `${where}.policy`, problems)),
  ]
}

function compileTokens(
  { bearer, oneTime }: RuleSource,
  where: string,
  settings: Settings,
  problems: string[],
): TokenRule | undefined {
  if (oneTime && !bearer) problems.push(`${where}.oneTime: belongs to a rule with bearer`)
  if (!bearer) return undefined
  const requirement = compileBearer(bearer, `${where}.bearer`, settings, problems)
  return { requirement, isOneTime: oneTime === true }
}

function refuseSameNames(sources: readonly RuleSource[], problems: string[]): void {
  for (const [index, { name }] of sources.entries()) {
    const first = sources.findIndex((each) => each.name === name)
    if (name !== undefined && first < index) {
      problems.push(`rules.${index}.name: is the name of rules.${first} too: give it another`)
    }
  }
}
