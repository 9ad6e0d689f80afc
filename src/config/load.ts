import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Config, Environment } from './config.ts'
import { ConfigError } from './config-error.ts'
import { crossCheck } from './cross-check.ts'
import { withLowerCaseProxies } from './proxies.ts'
import { checkRedis, type RedisFiles } from './redis/redis.ts'
import { LISTS, type RulesFile, rulesFile } from './rules/rules-file.ts'
import { notesOf, type SettingName, type Settings, settings } from './settings/settings.ts'

/** Reads environment and files. Throws `ConfigError` with every problem at once. */
export function loadConfig(environment: Environment): Config {
  const problems: string[] = []
  const given = withSecretFiles(withLowerCaseProxies(environment), NAMES, problems)
  const file = readRulesFile(given['VESTIBULE_CONFIG'], problems)
  const parsed = parseSettings(given, NAMES, file, problems)
  const config = crossCheck(parsed, file?.rules, problems)
  const redis = checkRedis(parsed, redisFilesOf(environment), problems)
  if (problems.length > 0) throw new ConfigError(problems)
  const keyFile = secretFileOf('SESSION_ENCRYPTION_KEY', environment)
  const common = { ...config, ...(keyFile && { keyFile }) }
  const mode = parsed.REDIS_CACHE_MODE
  return redis && mode !== 'memory' ? { ...common, mode, redis } : { ...common, mode: 'memory' }
}

/** Reads single settings, for commands that run beside the service. Throws `ConfigError` as `loadConfig` does. */
export function loadSettings<N extends SettingName>(
  environment: Environment,
  ...names: readonly N[]
): Pick<Settings, N> {
  const problems: string[] = []
  const given = withSecretFiles(environment, names, problems)
  const parsed = parseSettings(given, names, { rules: [] }, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return parsed
}

const NAMES = Object.keys(settings.shape) as SettingName[]

/** Returns the path in `NAME_FILE`; `undefined` where it is not set or empty. */
function secretFileOf(name: SettingName, environment: Environment): string | undefined {
  return environment[`${name}_FILE`] || undefined
}

/** Reads secrets from the files that `NAME_FILE` settings name. An empty value counts as not set. */
function withSecretFiles(
  environment: Environment,
  names: readonly SettingName[],
  problems: string[],
): Environment {
  const given: Record<string, string | undefined> = {}
  for (const name of names) {
    const value = environment[name]
    if (value) given[name] = value
    const path = notesOf(name).isSecret ? secretFileOf(name, environment) : undefined
    if (!path) continue
    if (value) problems.push(`${name} and ${name}_FILE are both set: remove one of them`)
    const text = readText(path, `${name}_FILE`, problems)
    if (text?.trim() === '') problems.push(`${name}_FILE: ${path} is empty`)
    if (text) given[name] = text.trim()
  }
  return given
}

function redisFilesOf(environment: Environment): RedisFiles {
  const fileOf = (name: SettingName) => secretFileOf(name, environment)
  const addressFile = fileOf('REDIS_URL') ?? fileOf('REDIS_ADDRESS')
  const passwordFile = fileOf('REDIS_PASSWORD')
  const sentinelPasswordFile = fileOf('REDIS_SENTINEL_PASSWORD')
  return {
    ...(addressFile !== undefined && { addressFile }),
    ...(passwordFile !== undefined && { passwordFile }),
    ...(sentinelPasswordFile !== undefined && { sentinelPasswordFile }),
  }
}

/** Returns `undefined` for a file that cannot be used. */
function readRulesFile(path: string | undefined, problems: string[]): RulesFile | undefined {
  if (path === undefined) return { rules: [] }
  const text = readText(path, 'VESTIBULE_CONFIG', problems)
  const content = text === undefined ? undefined : parseYaml(text, problems)
  if (content === undefined) return undefined
  const result = rulesFile.safeParse(content)
  if (result.success) return result.data
  for (const issue of result.error.issues) {
    problems.push(`VESTIBULE_CONFIG: ${issue.path.join('.') || 'the file'}: ${issue.message}`)
  }
  return undefined
}

/** Returns `undefined` for text that is not YAML. */
function parseYaml(text: string, problems: string[]): unknown {
  try {
    return parse(text) ?? {}
  } catch (error) {
    problems.push(`VESTIBULE_CONFIG: not YAML: ${(error as Error).message.split('\n')[0]}`)
    return undefined
  }
}

function readText(path: string, name: string, problems: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    problems.push(`${name}: ${path} cannot be read (${code}): check the path and its permissions`)
    return undefined
  }
}

/** Parses each setting by itself, so that one error does not hide the others. */
function parseSettings<N extends SettingName>(
  given: Environment,
  names: readonly N[],
  file: RulesFile | undefined,
  problems: string[],
): Pick<Settings, N> {
  const fromFile = new Map<SettingName, readonly string[]>(
    Object.entries(LISTS).flatMap(([key, name]) => {
      const entries = file?.[key as keyof typeof LISTS]
      return entries ? [[name, entries] as const] : []
    }),
  )
  const values = names.map((name) => {
    const schema = settings.shape[name]
    const result = schema.safeParse(given[name] ?? fromFile.get(name))
    if (result.success) return [name, result.data] as const
    const what = result.error.issues.map((issue) => issue.message).join(', ')
    problems.push(`${name}: ${what}. ${notesOf(name).text}`)
    return [name, schema.safeParse(undefined).data] as const
  })
  return Object.fromEntries(values) as Pick<Settings, N>
}
