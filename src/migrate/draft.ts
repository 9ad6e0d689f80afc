import type { RuleSource } from '../config/rules/rules-file.ts'
import type { SettingName } from '../config/settings/settings.ts'
import type { Installation, Note, NoteKind, SettingValue } from './installation.ts'

/** Installation in the making. */
export interface Draft {
  readonly set: (name: SettingName, value: SettingValue) => void
  /** `undefined` where the source keeps the value elsewhere, which needs a note of its own. */
  readonly keepSecret: (name: SettingName, value: string | undefined) => void
  readonly addRule: (rule: RuleSource) => void
  readonly note: (kind: NoteKind, option: string, text: string) => void
  readonly valueOf: (name: SettingName) => SettingValue | undefined
  readonly finish: () => Installation
}

/** Starts an installation without settings. */
export function createDraft(name = ''): Draft {
  const settings = new Map<SettingName, SettingValue>()
  const secrets = new Map<SettingName, string | undefined>()
  const rules: RuleSource[] = []
  const notes: Note[] = []
  return {
    set: (setting, value) => void settings.set(setting, value),
    keepSecret: (setting, value) => void secrets.set(setting, value),
    addRule: (rule) => void rules.push(rule),
    note: (kind, option, text) => void notes.push({ kind, option, text }),
    valueOf: (setting) => settings.get(setting),
    finish: () => ({ name, settings, secrets, policies: {}, rules, notes }),
  }
}
