import type { SettingName } from '../../config/settings/settings.ts'
import type { Draft } from '../draft.ts'
import type { NoteKind, SettingValue } from '../installation.ts'
import { MigrationError } from '../old-configuration.ts'
import type { Values } from './values.ts'

/** Options that are read, and the installation that they become. */
export interface Reading {
  readonly values: Values
  readonly draft: Draft
  readonly readFile: (path: string) => string
}

/** Notes what has become of an option; says nothing of one that was not given. */
export function tell({ values, draft }: Reading, name: string, kind: NoteKind, text: string): void {
  if (values.has(name)) draft.note(kind, values.label(name), text)
}

/** Carries the text of an option over as it stands. */
export function carry(reading: Reading, name: string, setting: SettingName): void {
  const value = reading.values.text(name)
  if (value === undefined) tell(reading, name, 'carried', 'is empty')
  else become(reading, name, setting, value)
}

/** Sets what an option becomes. */
export function become(
  { values, draft }: Reading,
  name: string,
  setting: SettingName,
  value: SettingValue,
): void {
  draft.set(setting, value)
  draft.note('carried', values.label(name), `is \`${setting}\``)
}

/** Reads a file that an option names; `undefined`, with what is to be done, where it is not on this machine. */
export function readNamed(reading: Reading, name: string, remedy: string): string | undefined {
  const path = reading.values.text(name)
  if (path === undefined) return undefined
  try {
    return reading.readFile(path)
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error
    tell(reading, name, 'todo', `names a file that cannot be read here: ${remedy}`)
    return undefined
  }
}
