import type { Config, Environment } from './config.ts'
import { ConfigError } from './config-error.ts'
import { crossCheck } from './cross-check.ts'
import { describeNotice } from './notices.ts'
import { withLowerCaseProxies } from './proxies.ts'
import type { AddressTimeout } from './redis/address-options.ts'
import { checkRedis } from './redis/redis.ts'
import { findNetworksOfProxies } from './rules/networks-of-proxies.ts'
import {
  notesOf,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  settings,
} from './settings/settings.ts'
import { type GivenSetting, type Origin, pathOf } from './sources/given.ts'
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
  const common = {
    ...config,
    settings: { ...parsed, ...limitsOf(timeouts) },
    origins: originsOf(sources, timeouts),
    notices: [
      ...unknown,
      ...sources.overridden,
      ...notices,
      ...findNetworksOfProxies(config.rules, parsed.TRUSTED_PROXIES),
    ],
    ...(keyFile !== undefined && { keyFile }),
    ruleFiles: ruleFilesOf(environment, sources),
    readAgain: () => loadConfig(given),
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

/** Settings that say who may enter, which are re-read with the rules. */
const RELOADED = [
  'PUBLIC_PATHS',
  'ALLOWED_EMAILS',
  'ALLOWED_EMAIL_DOMAINS',
  'ALLOWED_GROUPS',
] as const satisfies readonly SettingName[]

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

/** Returns whether a problem follows from a value that cannot be used, which is told already. */
function isConsequence(problem: string, unusable: readonly SettingName[]): boolean {
  return unusable.some((name) => {
    const isOfPeople = name.startsWith('ALLOWED_') || name === 'PUBLIC_PATHS'
    const isOfServers = name === 'REDIS_URL' || name === 'REDIS_SENTINEL_ADDRESSES'
    return (
      problem.startsWith(`${name}:`) ||
      (isOfPeople && problem.startsWith('Nobody ')) ||
      (isOfServers && MISSED_WITHOUT_SERVERS.test(problem))
    )
  })
}

const MISSED_WITHOUT_SERVERS =
  /^REDIS_(?:ADDRESS: is missing|SENTINEL_\w+: has no use without Sentinels)/

/** Parses each setting by itself, so that one error does not hide the others. */
function parseSettings<N extends SettingName>(
  { given, rules, unreadable }: Sources,
  names: readonly N[],
  problems: string[],
): { readonly parsed: Pick<Settings, N>; readonly unusable: readonly SettingName[] } {
  const unusable: SettingName[] = [...unreadable]
  const values = names.map((name) => {
    const schema = settings.shape[name]
    const setting = given.get(name)
    const result = schema.safeParse(setting?.value)
    if (result.success) return [name, result.data] as const
    unusable.push(name)
    // A file that cannot be used leaves open whether it has the setting.
    if (setting || (rules && !unreadable.has(name))) {
      const what = result.error.issues.map((issue) => issue.message).join(', ')
      problems.push(`${labelOf(name, setting)}: ${what}. ${notesOf(name).text}`)
    }
    return [name, schema.safeParse(undefined).data] as const
  })
  return { parsed: Object.fromEntries(values) as Pick<Settings, N>, unusable }
}

function labelOf(name: SettingName, setting: GivenSetting | undefined): string {
  const origin = setting?.origin
  return origin?.kind === 'settings-file' ? `VESTIBULE_CONFIG: ${origin.key} (${name})` : name
}
