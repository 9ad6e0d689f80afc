import type { Environment } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { formatValue, notesOf, type SettingName } from '../config/settings/settings.ts'
import type { AccessRule, SignedInRule, TokenRule } from '../core/access-rule.ts'
import { createSite } from '../core/site.ts'

/** Prints the effective configuration with secrets masked. Throws `ConfigError` when it cannot be used. */
export async function checkConfig(environment: Environment): Promise<number> {
  const { settings, rules, clientCredentials } = loadConfig(environment)
  for (const name of Object.keys(settings) as SettingName[]) {
    const text = formatValue(settings[name])
    process.stdout.write(`${name}=${notesOf(name).isSecret && text !== '' ? '***' : text}\n`)
  }
  if (clientCredentials.method === 'private_key_jwt') {
    const keySet = JSON.stringify({ keys: [clientCredentials.key.publicJwk] })
    process.stdout.write(`\n# The key set to register at the provider: ${keySet}\n`)
  }
  process.stdout.write('\n# The first rule that matches decides; what matches none is denied.\n')
  for (const [index, rule] of rules.entries()) {
    process.stdout.write(`# ${index + 1}. ${describeRule(rule)}\n`)
  }
  return 0
}

function describeRule(rule: AccessRule): string {
  const { access, hosts, paths, methods, passesPreflight, deniesDegraded } = rule
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
    ['preflights', passesPreflight ? ['pass'] : undefined],
    ['degraded', deniesDegraded ? ['deny'] : undefined],
  ] as const
  const given = conditions.filter(([, values]) => values !== undefined && values.length > 0)
  return [access, ...given.map(([name, values]) => `${name}: ${values?.join(' ')}`)].join(' · ')
}

function describeCredentials({ allowed, bearer }: SignedInRule) {
  return [
    ['emails', allowed && [...allowed.emails]],
    ['email domains', allowed && [...allowed.emailDomains]],
    ['groups', allowed && [...allowed.groups]],
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
