import { isRecord } from '../../core/json.ts'
import { alteredValues } from '../rules/altered-values.ts'
import { type RulesFile, rulesFile } from '../rules/rules-file.ts'
import { isList, type SettingName } from '../settings/settings.ts'
import { keysOf, nameOfFileKey, nearFileKey, SECTIONS } from './file-keys.ts'
import type { ReadText } from './read-text.ts'
import { parseYaml, type YamlContent } from './yaml.ts'

/** Content of the file that `VESTIBULE_CONFIG` names. */
export interface SettingsFile {
  /** Values by the names that the environment would have for them, `NAME_FILE` among them. */
  readonly values: ReadonlyMap<string, FileValue>
  /** `undefined` after a problem, where nobody knows all that was meant. */
  readonly rules: RulesFile | undefined
  /** True for a file of nothing but blanks and comments. */
  readonly isEmpty: boolean
}

export interface FileValue {
  readonly key: string
  readonly value: string | readonly string[]
}

/** Reads the file. Every fault adds a problem that names the key and quotes no value; what can be used is returned. */
export function readSettingsFile(
  path: string,
  read: ReadText,
  problems: string[],
): SettingsFile | undefined {
  const text = read(path, 'VESTIBULE_CONFIG', problems)
  const content = text === undefined ? undefined : tryParse(text, problems)
  if (!content) return undefined
  const before = problems.length
  const values = new Map<string, FileValue>()
  const rest: { [Reading in keyof YamlContent]: Record<string, unknown> } = {
    typed: {},
    written: {},
  }
  const report = (where: string, fault: string) =>
    problems.push(`VESTIBULE_CONFIG: ${where}: ${fault}`)
  for (const entry of entriesOf(content)) {
    const { key, typed, written } = entry
    if (Object.hasOwn(rulesFile.shape, key)) {
      rest.typed[key] = typed
      rest.written[key] = written
    } else if (!SECTIONS.includes(key)) addValue(entry, '', values, report)
    else if (isRecord(typed)) {
      for (const member of entriesOf(entry)) addValue(member, key, values, report)
    } else if (typed !== null) report(key, `is not a map such as ${key}: { ${keysOf(key)[0]}: … }`)
  }
  const rules = parseRules(rest, report)
  return {
    values,
    rules: problems.length > before ? undefined : rules,
    isEmpty: content.typed === null,
  }
}

type Report = (where: string, fault: string) => void

interface Entry extends YamlContent {
  readonly key: string
}

function tryParse(text: string, problems: string[]): YamlContent | undefined {
  try {
    const content = parseYaml(text)
    if (content.typed === null || isRecord(content.typed)) return content
    problems.push('VESTIBULE_CONFIG: the file: is not a map of settings and rules')
  } catch (error) {
    problems.push(`VESTIBULE_CONFIG: not YAML: ${(error as Error).message}`)
  }
  return undefined
}

function parseRules(content: YamlContent, report: Report): RulesFile | undefined {
  const result = rulesFile.safeParse(content.typed)
  const faults = result.success
    ? alteredValues(content).map((path) => [path, ALTERED] as const)
    : result.error.issues.map(({ path, message }) => [path, message] as const)
  for (const [path, fault] of faults) report(path.map(shownStep).join('.'), fault)
  return result.data
}

const ALTERED =
  'is read as a number or as true or false, and its text would change: put it in quotes, as it is compared by its text'

/** Names a key only where it looks like one, as `describeUnknown` does. */
function shownStep(step: PropertyKey): string {
  const text = String(step)
  return /^[\w.:/#~\\ -]{1,100}$/.test(text) ? text : '…'
}

function addValue(
  { key, ...content }: Entry,
  section: string,
  values: Map<string, FileValue>,
  report: Report,
): void {
  const path = section === '' ? key : `${section}.${key}`
  const name = nameOfFileKey(path)
  if (name === undefined) {
    report(section || 'the file', describeUnknown(key, section))
  } else if (values.has(name)) {
    report(path, `is there twice, also as ${values.get(name)?.key}`)
  } else {
    const value = valueOf(name, content, (at, fault) => report(`${path}${at}`, fault))
    if (value !== undefined) values.set(name, { key: path, value })
  }
}

/** Returns `undefined` where nothing is set, or after a problem. */
function valueOf(
  name: string,
  { typed, written }: YamlContent,
  report: Report,
): string | readonly string[] | undefined {
  if (typed === null) return undefined
  if (isRecord(typed)) report('', 'is a map, but takes one value; a value with braces needs quotes')
  else if (!Array.isArray(typed)) return String(written).trim() || undefined
  else if (takesList(name)) return entriesOfList(typed, report)
  else if (Object.hasOwn(JOINED, name)) return entriesOfList(typed, report)?.join(JOINED[name])
  else report('', 'is a list, but takes one value')
  return undefined
}

/** Separators of the settings that are one text of several values, which YAML may list. */
const JOINED: Readonly<Record<string, string>> = {
  OIDC_SCOPES: ' ',
  REDIS_ADDRESS: ',',
  SESSION_ENCRYPTION_KEY: '\n',
}

function entriesOfList(entries: readonly unknown[], report: Report): readonly string[] | undefined {
  const texts = entries.map((entry) => (typeof entry === 'string' ? entry.trim() : ''))
  for (const [index, text] of texts.entries()) {
    if (text === '') report(`.${index}`, 'is not a text: write it in quotes, or remove it')
  }
  return texts.includes('') ? undefined : texts
}

function takesList(name: string): boolean {
  return !name.endsWith('_FILE') && isList(name as SettingName)
}

/** Names a key only where it looks like one, because a blank that is missing behind a colon makes a password part of it. */
function describeUnknown(key: string, section: string): string {
  if (!/^[A-Za-z][A-Za-z\d_-]{0,60}$/.test(key)) return 'has a key that is no name of a setting'
  const meant = nearFileKey(key, section)
  return `Unrecognized key: "${key}"${meant === undefined ? '' : `; is ${meant} meant?`}`
}

function entriesOf({ typed, written }: YamlContent): Entry[] {
  if (!isRecord(typed) || !isRecord(written)) return []
  return Object.entries(typed).map(([key, value]) => ({ key, typed: value, written: written[key] }))
}
