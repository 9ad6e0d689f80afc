import type { RuleSet } from '../../core/access/rule-set.ts'
import type { Environment } from '../config.ts'
import { ConfigError } from '../config-error.ts'
import { isConsequence, parseSettings } from '../parse-settings.ts'
import { compileRules } from '../rules/access-rules.ts'
import { RELOADED } from '../rules/fingerprint.ts'
import { SETTING_NAMES } from '../settings/settings.ts'
import { pathOf } from '../sources/given.ts'
import { readSources, type Sources } from '../sources/read-sources.ts'
import { type ComparedSettings, findChangedKeys } from './changed-keys.ts'

/** State of the files that hold rules, policies and lists, as read while the service runs. */
export interface ReloadedRules {
  readonly rules: RuleSet
  /** Files that hold it. */
  readonly ruleFiles: readonly string[]
  /** Keys of the settings file that have changed since the start and are read at the start only. */
  readonly changedKeys: readonly string[]
}

/**
 * Compiles the rules as they are now by the settings of the start. Reads no file that other settings name, such as that of a
 * secret, which may be gone, or a pipe. Throws `ConfigError` with every problem of rules, lists and the settings file.
 */
export function readRulesAgain(environment: Environment, atStart: ComparedSettings): ReloadedRules {
  const problems: string[] = []
  const sources = readSources(environment, SETTING_NAMES, problems, { again: RELOADED })
  const { parsed, unusable } = parseSettings(sources, SETTING_NAMES, problems)
  const later: string[] = []
  const lists = Object.fromEntries(RELOADED.map((name) => [name, parsed[name]]))
  const rules = compileRules({ ...atStart.settings, ...lists }, sources.rules, later)
  problems.push(...later.filter((problem) => !isConsequence(problem, unusable)))
  // A file is empty for a moment when it is written in place.
  if (sources.isFileEmpty) problems.unshift('VESTIBULE_CONFIG: the file: is empty')
  if (problems.length > 0) throw new ConfigError(problems)
  const changedKeys = findChangedKeys(atStart, { settings: parsed, given: sources.given })
  return { rules, ruleFiles: ruleFilesOf(environment, sources), changedKeys }
}

/** Returns the settings file and the files of lists. */
export function ruleFilesOf(environment: Environment, { given }: Sources): readonly string[] {
  const file = environment['VESTIBULE_CONFIG']?.trim()
  const lists = RELOADED.flatMap((name) => pathOf(given.get(name)) ?? [])
  return [...(file ? [file] : []), ...lists]
}
