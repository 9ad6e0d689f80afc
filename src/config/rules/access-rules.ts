import type { AccessRule } from '../../core/access/access-rule.ts'
import type { RuleSet } from '../../core/access/rule-set.ts'
import { isStandard } from '../../core/identity.ts'
import type { SettingName, Settings } from '../settings/settings.ts'
import { compileRule } from './compile-rule.ts'
import { fingerprintOf } from './fingerprint.ts'
import { namedUsers } from './named-users.ts'
import { compilePolicies, conditionsIn, type Policies, partsOf } from './policies.ts'
import { compilePaths } from './rule-targets.ts'
import type { RuleSource, RulesFile } from './rules-file.ts'

/** Compiles the rules of the file, then `PUBLIC_PATHS`, then one rule for the users that the environment allows. */
export function compileRules(
  settings: Settings,
  /** `undefined` for a file that cannot be used. */
  file: RulesFile | undefined,
  problems: string[],
): RuleSet {
  const { rules: sources, policies: named } = file ?? { rules: [], policies: {} }
  const policies = compilePolicies(named, problems)
  refuseSameNames(sources, problems)
  const rules = [
    ...sources.map((source, index) => compileRule(source, index, { settings, policies, problems })),
    ...rulesOfSettings(settings, sources.length, problems),
  ]
  // A rule with report lets nobody in.
  if (file && rules.every(({ isReport }) => isReport)) problems.push(NOBODY)
  return {
    rules,
    policies,
    claims: claimsIn(rules, policies),
    issuers: new Set(rules.flatMap(issuersOf)),
    fingerprint: fingerprintOf(file, settings),
  }
}

const NOBODY =
  'Nobody may enter: set ALLOWED_EMAILS, ALLOWED_EMAIL_DOMAINS or ALLOWED_GROUPS, PUBLIC_PATHS, write rules without report, or set ALLOW_ANY_USER=true'

const SETTING_OF = {
  emails: 'ALLOWED_EMAILS',
  emailDomains: 'ALLOWED_EMAIL_DOMAINS',
  groups: 'ALLOWED_GROUPS',
} as const satisfies Record<string, SettingName>

/** Makes the rules that settings name; their positions come after those of the file's. */
function rulesOfSettings(settings: Settings, fileRules: number, problems: string[]): AccessRule[] {
  const rules: AccessRule[] = []
  const nextName = () => String(fileRules + rules.length + 1)
  if (settings.PUBLIC_PATHS.length > 0) {
    const paths = compilePaths(settings.PUBLIC_PATHS, 'PUBLIC_PATHS', problems)
    rules.push({ name: nextName(), paths, access: 'public', passesPreflight: false })
  }
  const lists = {
    emails: settings.ALLOWED_EMAILS,
    emailDomains: settings.ALLOWED_EMAIL_DOMAINS,
    groups: settings.ALLOWED_GROUPS,
  }
  const allowed = namedUsers(lists, (list) => SETTING_OF[list], problems)
  if (settings.ALLOW_ANY_USER && allowed) {
    problems.push('ALLOW_ANY_USER: is true, and ALLOWED_… names users too: remove one of them')
  }
  const signedIn = { name: nextName(), access: 'signed-in', passesPreflight: false } as const
  if (settings.ALLOW_ANY_USER) rules.push(signedIn)
  else if (allowed) rules.push({ ...signedIn, allowed })
  return rules
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

function refuseSameNames(sources: readonly RuleSource[], problems: string[]): void {
  for (const [index, { name }] of sources.entries()) {
    const first = sources.findIndex((each) => each.name === name)
    if (name !== undefined && first < index) {
      problems.push(`rules.${index}.name: is the name of rules.${first} too: give it another`)
    }
  }
}
