import type { Environment } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { describeNotice } from '../config/notices.ts'
import type { AccessRule, SignedInRule, TokenRule } from '../core/access/access-rule.ts'
import type { Condition } from '../core/access/condition.ts'
import { describeCondition } from '../core/access/describe-condition.ts'
import type { ClientCredentials } from '../core/client-credentials.ts'
import { createSite } from '../core/site.ts'
import { describeRedis } from './describe-redis.ts'
import { describeLists, describeSettings } from './describe-settings.ts'

/** Prints the effective configuration with secrets masked. Throws `ConfigError` when it cannot be used. */
export async function checkConfig(environment: Environment): Promise<number> {
  const config = loadConfig(environment)
  const sections = [
    describeSettings(config),
    describeLists(config),
    describeRedis(config),
    describeKey(config.clientCredentials),
    describePolicies(config.rules.policies),
    describeRules(config.rules.rules),
    config.notices.map((notice) => `# Note: ${describeNotice(notice)}`),
  ]
  const texts = sections.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
  process.stdout.write(`${texts.join('\n\n')}\n`)
  return 0
}

function describeKey(credentials: ClientCredentials): string[] {
  if (credentials.method !== 'private_key_jwt') return []
  const keySet = JSON.stringify({ keys: [credentials.key.publicJwk] })
  return [`# The key set to register at the provider: ${keySet}`]
}

function describePolicies(policies: ReadonlyMap<string, Condition>): string[] {
  if (policies.size === 0) return []
  return [
    '# Policies, for rules and for the address of the middleware (/auth?policy=NAME):',
    ...[...policies].map(([name, condition]) => `# ${name}: ${describeCondition(condition)}`),
  ]
}

function describeRules(rules: readonly AccessRule[]): string[] {
  return [
    '# The first rule that matches decides; what matches none is denied.',
    ...rules.map((rule, index) => `# ${placeOf(rule, index + 1)} ${describeRule(rule)}`),
  ]
}

/** Returns the position, which is the name of a rule without one, and the name that the file gives. */
function placeOf({ name }: AccessRule, position: number): string {
  return name === String(position) ? `${position}.` : `${position}. ${name}:`
}

function describeRule(rule: AccessRule): string {
  const { access, hosts, paths, methods, passesPreflight, deniesDegraded, isReport } = rule
  const conditions = [
    [
      'hosts',
      hosts?.map(
        (host) =>
          `${host.isWildcard ? '*.' : ''}${createSite(host.scheme, host.hostname, host.port).host}`,
      ),
    ],
    ['paths', paths?.map(({ source }) => source)],
    ['methods', methods && [...methods]],
    ...(rule.access === 'signed-in' ? describeCredentials(rule) : []),
    ['report', isReport ? ['the next rule that matches decides'] : undefined],
    ['preflights', passesPreflight ? ['pass'] : undefined],
    ['degraded', deniesDegraded ? ['deny'] : undefined],
  ] as const
  const given = conditions.filter(([, values]) => values !== undefined && values.length > 0)
  return [access, ...given.map(([name, values]) => `${name}: ${values?.join(' ')}`)].join(' · ')
}

function describeCredentials({ allowed, conditions = [], bearer }: SignedInRule) {
  return [
    ['emails', allowed && [...allowed.emails]],
    ['email domains', allowed && [...allowed.emailDomains]],
    ['groups', allowed && [...allowed.groups]],
    ...conditions.map(({ condition, policy }) =>
      policy === undefined
        ? (['allow', [describeCondition(condition)]] as const)
        : (['policy', [policy]] as const),
    ),
    ...(bearer ? describeTokens(bearer) : []),
  ] as const
}

function describeTokens({ requirement, isOneTime }: TokenRule) {
  const { type, issuers, audiences, scopes, claims } = requirement
  return [
    [isOneTime ? 'one-time tokens' : 'tokens', [type]],
    ['issuers', [...issuers]],
    ['audiences', [...audiences]],
    ['scopes', scopes],
    ['claims', [...claims].map(([name, values]) => `${name}=${[...values].join('|')}`)],
  ] as const
}
