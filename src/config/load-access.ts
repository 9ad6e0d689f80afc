import { BlockList } from 'node:net'
import type { RuleSet } from '../core/access/rule-set.ts'
import { createSites, type Sites } from '../core/site.ts'
import { attempt } from './attempt.ts'
import type { Environment } from './config.ts'
import { ConfigError } from './config-error.ts'
import { parseHosts } from './hosts.ts'
import { NETWORK_REMEDY, parseNetworks } from './networks.ts'
import { describeNotice } from './notices.ts'
import { isConsequence, parseSettings } from './parse-settings.ts'
import { compileRules } from './rules/access-rules.ts'
import { SETTING_NAMES, type SettingName, type Settings } from './settings/settings.ts'
import { readSources } from './sources/read-sources.ts'
import { findUnknownNames } from './sources/unknown-names.ts'

/** Part of the configuration that decides who may enter. */
export interface AccessConfig {
  readonly settings: Pick<Settings, AccessSetting>
  readonly protectedSites: Sites
  readonly rules: RuleSet
  /** Networks of `TRUSTED_PROXIES`, which name no client. */
  readonly trustedNetworks: BlockList
}

/** Settings that may be missing, because only rules for tokens compare with them. */
const OF_PROVIDER = ['OIDC_ISSUER_URL', 'OIDC_CLIENT_ID'] as const
const NEEDED = [
  'BASE_PATH',
  'PROTECTED_HOSTS',
  'PUBLIC_PATHS',
  'ALLOWED_EMAILS',
  'ALLOWED_EMAIL_DOMAINS',
  'ALLOWED_GROUPS',
  'ALLOW_ANY_USER',
  'ALLOW_INSECURE_HTTP',
  'TRUSTED_PROXIES',
  'OIDC_GROUPS_CLAIM',
  'OIDC_GROUPS_SEPARATOR',
  'OIDC_EMAIL_CLAIM',
  'OIDC_TRUST_EMAIL',
] as const satisfies readonly SettingName[]

type AccessSetting = (typeof NEEDED)[number] | (typeof OF_PROVIDER)[number]

/** Reads what access needs, without secrets and keys. Throws `ConfigError` with every problem of these settings. */
export function loadAccess(environment: Environment): AccessConfig {
  const problems: string[] = []
  const sources = readSources(environment, [...NEEDED, ...OF_PROVIDER], problems)
  const given = OF_PROVIDER.filter((name) => sources.given.has(name))
  const { unusable } = parseSettings(sources, [...NEEDED, ...given], problems)
  const settings = withDefaults(parseSettings(sources, SETTING_NAMES, []).parsed)
  const later: string[] = []
  const hosts = parseHosts(settings, sources.rules !== undefined, later)
  const rules = compileRules(settings, sources.rules, later)
  const trustedNetworks = attempt('TRUSTED_PROXIES', NETWORK_REMEDY, later, () =>
    parseNetworks(settings.TRUSTED_PROXIES),
  )
  problems.push(...later.filter((problem) => !isConsequence(problem, unusable)))
  if (problems.length > 0) {
    throw new ConfigError(problems, findUnknownNames(environment).map(describeNotice))
  }
  return {
    settings,
    protectedSites: createSites(hosts),
    rules,
    trustedNetworks: trustedNetworks ?? new BlockList(),
  }
}

function withDefaults(parsed: Settings): Settings {
  const missing = OF_PROVIDER.filter((name) => parsed[name] === undefined)
  return { ...parsed, ...Object.fromEntries(missing.map((name) => [name, ''])) }
}
