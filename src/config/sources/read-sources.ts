import type { Environment } from '../config.ts'
import type { Notice } from '../notices.ts'
import type { RulesFile } from '../rules/rules-file.ts'
import { linesOfNames } from '../settings/lists.ts'
import { isReadFromFile, type SettingName } from '../settings/settings.ts'
import { namesOf } from './file-keys.ts'
import type { GivenSetting, GivenSettings, Origin } from './given.ts'
import { type ReadText, tryReadFile, tryReadText } from './read-text.ts'
import { faultOfPath, refuseReferences } from './references.ts'
import { readSettingsFile, type SettingsFile } from './settings-file.ts'

/** Settings as they are given, before any is parsed. */
export interface Sources {
  readonly given: GivenSettings
  /** Rules and policies of the file; `undefined` for a file that cannot be used. */
  readonly rules: RulesFile | undefined
  /** True where the settings file has no content. */
  readonly isFileEmpty: boolean
  readonly overridden: readonly Notice[]
  /** Settings that are given and cannot be read, so that none of them is called missing. */
  readonly unreadable: ReadonlySet<SettingName>
}

export interface ReadSourcesOptions {
  /** Takes the problems of the settings file; they belong to the others where it is absent. */
  readonly fileProblems?: string[]
  /** Settings whose files are read again while the service runs; absent at the start, which reads those of all. */
  readonly again?: readonly SettingName[]
}

/** Reads environment, settings file and the files that `NAME_FILE` names. The environment wins. */
export function readSources(
  environment: Environment,
  names: readonly SettingName[],
  problems: string[],
  { fileProblems = problems, again }: ReadSourcesOptions = {},
): Sources {
  const unreadable = new Set<SettingName>()
  const read = again ? tryReadFile : tryReadText
  const readNamed: ReadNamed = (name, path, label) => {
    const text =
      again?.includes(name) === false
        ? undefined
        : readNamedFile(name, path, label, { read, problems })
    if (text === undefined) unreadable.add(name)
    return text ?? ''
  }
  const fromEnvironment = collect(environmentSource(environment), names, readNamed, problems)
  const path = environment['VESTIBULE_CONFIG']?.trim()
  const file = path ? readSettingsFile(path, read, fileProblems) : NO_FILE
  const winnerOf = (name: SettingName) =>
    [name, TWINS.get(name)].find((each) => each !== undefined && fromEnvironment.has(each))
  const others = names.filter((name) => winnerOf(name) === undefined)
  const fromFile = file ? collect(fileSource(file), others, readNamed, problems) : []
  const given = new Map([...fromEnvironment, ...fromFile])
  refuseReferences(given, unreadable, problems)
  const overridden = file ? findOverridden(file, names, winnerOf) : []
  const isFileEmpty = file?.isEmpty === true
  return { given, rules: file?.rules, isFileEmpty, overridden, unreadable }
}

const NO_FILE: SettingsFile = {
  values: new Map(),
  rules: { policies: {}, rules: [] },
  isEmpty: false,
}

/** Two names for one setting: the environment wins by either. */
const TWINS: ReadonlyMap<SettingName, SettingName> = new Map([
  ['REDIS_ADDRESS', 'REDIS_URL'],
  ['REDIS_URL', 'REDIS_ADDRESS'],
])

function findOverridden(
  { values }: SettingsFile,
  names: readonly SettingName[],
  winnerOf: (name: SettingName) => SettingName | undefined,
): Notice[] {
  return names.flatMap((name) => {
    const setting = winnerOf(name)
    if (setting === undefined) return []
    const keys = namesOf(name).flatMap((each) => values.get(each)?.key ?? [])
    return keys.map((key): Notice => ({ kind: 'overridden', setting, key }))
  })
}

/** Place that may hold each setting under its name, or a path under `NAME_FILE`. */
interface Source {
  valueOf(name: string): string | readonly string[] | undefined
  /** Text in front of the name of a setting in problems. */
  readonly prefix: string
  /** Returns what the setting is called there. */
  nameOf(name: string): string
  originOf(name: string): Origin
}

function environmentSource(environment: Environment): Source {
  return {
    valueOf: (name) => environment[name]?.trim() || undefined,
    prefix: '',
    nameOf: (name) => name,
    originOf: () => ({ kind: 'environment' }),
  }
}

function fileSource({ values }: SettingsFile): Source {
  const keyOf = (name: string) => values.get(name)?.key ?? name
  return {
    valueOf: (name) => values.get(name)?.value,
    prefix: 'VESTIBULE_CONFIG: ',
    nameOf: keyOf,
    originOf: (name) => ({ kind: 'settings-file', key: keyOf(name) }),
  }
}

function collect(
  source: Source,
  names: readonly SettingName[],
  readNamed: ReadNamed,
  problems: string[],
): Map<SettingName, GivenSetting> {
  const given = new Map<SettingName, GivenSetting>()
  for (const name of names) {
    const value = source.valueOf(name)
    if (value !== undefined) given.set(name, { value, origin: source.originOf(name) })
    const path = isReadFromFile(name) ? source.valueOf(`${name}_FILE`) : undefined
    if (typeof path !== 'string') continue
    const setting = source.nameOf(`${name}_FILE`)
    const label = `${source.prefix}${setting}`
    if (value !== undefined) {
      problems.push(
        `${source.prefix}${source.nameOf(name)} and ${label} are both set: remove one of them`,
      )
    }
    const text = readNamed(name, path, label)
    given.set(name, { value: text, origin: { kind: 'named-file', setting, path } })
  }
  return given
}

/** Returns the value that a file holds, and no text for one that is not read or cannot be. */
type ReadNamed = (name: SettingName, path: string, label: string) => GivenSetting['value']

function readNamedFile(
  name: SettingName,
  path: string,
  label: string,
  { read, problems }: { readonly read: ReadText; readonly problems: string[] },
): GivenSetting['value'] | undefined {
  const fault = faultOfPath(path, name)
  if (fault !== undefined) {
    problems.push(`${label}: ${fault}`)
    return undefined
  }
  const text = read(path, label, problems)
  if (text === '') problems.push(`${label}: ${path} is empty`)
  if (!text) return undefined
  try {
    return name === 'ALLOWED_GROUPS' ? linesOfNames(text) : text
  } catch (error) {
    problems.push(`${label}: ${(error as Error).message}`)
    return undefined
  }
}
