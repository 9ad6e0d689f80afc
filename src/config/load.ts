import type { Config, Environment } from './config.ts'
import { ConfigError } from './config-error.ts'
import { crossCheck } from './cross-check.ts'
import { describeNotice } from './notices.ts'
import { isConsequence, parseSettings } from './parse-settings.ts'
import { withLowerCaseProxies } from './proxies.ts'
import type { AddressTimeout } from './redis/address-options.ts'
import { checkRedis } from './redis/redis.ts'
import { readRulesAgain, ruleFilesOf } from './reload/read-rules-again.ts'
import { findNetworksOfProxies } from './rules/networks-of-proxies.ts'
import { SETTING_NAMES, type SettingName, type Settings } from './settings/settings.ts'
import { type Origin, pathOf } from './sources/given.ts'
import { readSources, type Sources } from './sources/read-sources.ts'
import { findUnknownNames } from './sources/unknown-names.ts'

/** Reads environment and files. Throws `ConfigError` with every problem at once. */
export function loadConfig(given: Environment): Config {
  const environment = withLowerCaseProxies(given)
  const unknown = findUnknownNames(environment)
  const problems: string[] = []
  const sources = readSources(environment, SETTING_NAMES, problems)
  const { parsed, unusable } = parseSettings(sources, SETTING_NAMES, problems)
  const later: string[] = []
  const config = crossCheck(parsed, sources.rules, later)
  const redis = checkRedis(parsed, sources.given, later)
  problems.push(...later.filter((problem) => !isConsequence(problem, unusable)))
  if (problems.length > 0) throw new ConfigError(problems, unknown.map(describeNotice))
  const { timeouts = [], notices = [] } = redis ?? {}
  const keyFile = pathOf(sources.given.get('SESSION_ENCRYPTION_KEY'))
  const settings = { ...parsed, ...limitsOf(timeouts) }
  const common = {
    ...config,
    settings,
    origins: originsOf(sources, timeouts),
    notices: [
      ...unknown,
      ...sources.overridden,
      ...notices,
      ...findNetworksOfProxies(config.rules, parsed.TRUSTED_PROXIES),
    ],
    ...(keyFile !== undefined && { keyFile }),
    ruleFiles: ruleFilesOf(environment, sources),
    readAgain: () => readRulesAgain(environment, { settings: parsed, given: sources.given }),
  }
  const mode = parsed.REDIS_CACHE_MODE
  return redis && mode !== 'memory'
    ? { ...common, mode, redis: redis.config }
    : { ...common, mode: 'memory' }
}

/** Reads single settings, for commands that run beside the service. Throws `ConfigError` as `loadConfig` does. */
export function loadSettings<N extends SettingName>(
  environment: Environment,
  ...names: readonly N[]
): Pick<Settings, N> {
  const problems: string[] = []
  // A fault of the file is told by the service; a probe must not fail because of it.
  const sources = readSources(environment, names, problems, { fileProblems: [] })
  const { parsed } = parseSettings(sources, names, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return parsed
}

function limitsOf(timeouts: readonly AddressTimeout[]): Partial<Settings> {
  return Object.fromEntries(timeouts.map(({ name, limit }) => [name, limit]))
}

function originsOf({ given }: Sources, timeouts: readonly AddressTimeout[]): Config['origins'] {
  return new Map<SettingName, Origin>([
    ...[...given].map(([name, { origin }]) => [name, origin] as const),
    ...timeouts.map(({ name, option }) => [name, { kind: 'redis-address', option }] as const),
  ])
}
