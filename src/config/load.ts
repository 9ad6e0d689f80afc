import type { Config, Environment } from './config.ts'
import { ConfigError } from './config-error.ts'
import { crossCheck } from './cross-check.ts'
import { describeNotice } from './notices.ts'
import { isConsequence, parseSettings } from './parse-settings.ts'
import { withLowerCaseProxies } from './proxies.ts'
import type { AddressTimeout } from './redis/address-options.ts'
import { checkRedis } from './redis/redis.ts'
import { RELOADED } from './reload/changed-keys.ts'
import { findNetworksOfProxies } from './rules/networks-of-proxies.ts'
import { SETTING_NAMES, type SettingName, type Settings } from './settings/settings.ts'
import { fileKeyOf } from './sources/file-keys.ts'
import { type Origin, pathOf } from './sources/given.ts'
import { readSources, type Sources } from './sources/read-sources.ts'
import { findUnknownNames } from './sources/unknown-names.ts'

/** Reads environment and files. Throws `ConfigError` with every problem at once. */
export function loadConfig(given: Environment): Config {
  return readConfig(given)
}

/** Reads the configuration, where `inForce` holds the settings of a service that runs with it already. */
function readConfig(given: Environment, inForce?: Settings): Config {
  const environment = withLowerCaseProxies(given)
  const unknown = findUnknownNames(environment)
  const problems: string[] = []
  const sources = readSources(environment, SETTING_NAMES, problems)
  const { parsed, unusable } = parseSettings(sources, SETTING_NAMES, problems)
  const later: string[] = []
  const config = crossCheck(parsed, sources.rules, later, withReloaded(inForce, parsed))
  const redis = checkRedis(parsed, sources.given, later)
  problems.push(...later.filter((problem) => !isConsequence(problem, unusable)))
  const told = inForce ? problemsOfReload(problems, sources) : problems
  if (told.length > 0) throw new ConfigError(told, unknown.map(describeNotice))
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
    readAgain: () => readConfig(given, settings),
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
  const sources = readSources(environment, names, problems, [])
  const { parsed } = parseSettings(sources, names, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return parsed
}

/** Returns the settings by which rules are compiled: those in force, apart from the lists. */
function withReloaded(inForce: Settings | undefined, parsed: Settings): Settings {
  const lists = RELOADED.map((name) => [name, parsed[name]])
  return inForce ? { ...inForce, ...(Object.fromEntries(lists) as Partial<Settings>) } : parsed
}

/** Settings whose files are watched apart, with findings of their own. */
const WATCHED_APART = [
  'SESSION_ENCRYPTION_KEY',
  'INTERNAL_TLS_CERT_FILE',
  'INTERNAL_TLS_KEY_FILE',
  'INTERNAL_TLS_CLIENT_CA_FILE',
].flatMap((name) => [name, `VESTIBULE_CONFIG: ${fileKeyOf(name)}`])

/**
 * Returns the problems because of which changed rules are refused. A certificate that has expired is none of them; an
 * empty file is one, because a file is empty for a moment when it is written in place.
 */
function problemsOfReload(problems: readonly string[], { isFileEmpty }: Sources): string[] {
  const own = problems.filter((problem) => !WATCHED_APART.some((name) => problem.startsWith(name)))
  return isFileEmpty ? ['VESTIBULE_CONFIG: the file: is empty', ...own] : own
}

function ruleFilesOf(environment: Environment, { given }: Sources): readonly string[] {
  const file = environment['VESTIBULE_CONFIG']?.trim()
  const lists = RELOADED.flatMap((name) => pathOf(given.get(name)) ?? [])
  return [...(file ? [file] : []), ...lists]
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
