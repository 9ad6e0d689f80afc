import type { AccessRule, SignedInRule, TokenRule } from '../../core/access/access-rule.ts'
import type { RequiredCondition } from '../../core/access/condition.ts'
import type { Settings } from '../settings/settings.ts'
import { compileBearer } from './bearer-rule.ts'
import { compileCondition } from './conditions.ts'
import { namedUsers } from './named-users.ts'
import { type Policies, requirePolicy } from './policies.ts'
import { compileTargets } from './rule-targets.ts'
import type { RuleSource } from './rules-file.ts'

/** Parts that the compilation of each rule needs. */
interface RuleCompiler {
  readonly settings: Settings
  readonly policies: Policies
  readonly problems: string[]
}

/** Compiles one rule of the file. Every fault adds a problem that names its place. */
export function compileRule(source: RuleSource, index: number, compiler: RuleCompiler): AccessRule {
  const { access, name = String(index + 1), preflight, degraded, report } = source
  const where = `rules.${index}`
  const common = {
    name,
    passesPreflight: preflight === 'pass',
    deniesDegraded: degraded === 'deny',
    ...(report && { isReport: true }),
    ...compileTargets(source, where, compiler.problems),
  }
  const users = compileUsers(source, where, compiler)
  refuseForOpen(source, where, compiler.problems)
  return access === 'signed-in' ? { ...common, access, ...users } : { ...common, access }
}

/** Compiles which users and tokens a rule lets in. */
function compileUsers(
  source: RuleSource,
  where: string,
  compiler: RuleCompiler,
): Pick<SignedInRule, 'allowed' | 'conditions' | 'bearer'> {
  const { emails, emailDomains, groups } = source
  const lists = { emails, emailDomains, groups }
  const allowed = namedUsers(lists, (list) => `${where}.${list}`, compiler.problems)
  const conditions = compileConditions(source, where, compiler)
  const bearer = compileTokens(source, where, compiler)
  return {
    ...(allowed && { allowed }),
    ...(conditions.length > 0 && { conditions }),
    ...(bearer && { bearer }),
  }
}

/** Refuses what only means something for users and programs, and `report` where nobody would be refused. */
function refuseForOpen(source: RuleSource, where: string, problems: string[]): void {
  const { access, emails, emailDomains, groups, report } = source
  if (access === 'signed-in') return
  if (emails || emailDomains || groups) {
    problems.push(`${where}: emails, emailDomains and groups belong to access: signed-in`)
  }
  for (const key of ['allow', 'policy', 'bearer'] as const) {
    if (source[key] !== undefined) problems.push(`${where}.${key}: belongs to access: signed-in`)
  }
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
  { settings, problems }: RuleCompiler,
): TokenRule | undefined {
  if (oneTime && !bearer) problems.push(`${where}.oneTime: belongs to a rule with bearer`)
  if (!bearer) return undefined
  const requirement = compileBearer(bearer, `${where}.bearer`, settings, problems)
  return { requirement, isOneTime: oneTime === true }
}
