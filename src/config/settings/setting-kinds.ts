import { z } from 'zod'
import { refuseCutEntries } from './distinguished-name.ts'
import { parseGroups, parseList, parseQuoted } from './lists.ts'

/** Documentation of a setting, from which `docs/configuration.md` is generated. */
export interface SettingNotes {
  readonly section: string
  readonly text: string
  /** Never printed. */
  readonly isSecret: boolean
}

/** Notes of all settings, by schema. */
export const notes = z.registry<SettingNotes>()

/** Makes the notes of one setting. */
export function note(section: string, text: string, isSecret = false): SettingNotes {
  return { section, text, isSecret }
}

/** `true` or `false`. */
export const flag = z
  .string()
  .toLowerCase()
  .refine((value) => ['true', 'false'].includes(value), 'is neither true nor false')
  .transform((value) => value === 'true')

/** Entries as `parse` finds them in a text, or a list from a file, whose entries are apart already and only checked. */
function listOf(parse: (text: string) => string[], check?: (entries: string[]) => void) {
  return z.union([z.array(z.string()), z.string()]).transform((value, { issues }) => {
    try {
      if (typeof value === 'string') return parse(value)
      check?.(value)
      return value
    } catch (error) {
      issues.push({ code: 'custom', message: (error as Error).message, input: value })
      return z.NEVER
    }
  })
}

/** Entries between separators, or a JSON array; empty entries are dropped. */
export function separated(by: RegExp) {
  return listOf((text) => parseList(text, by))
}

/** Entries separated by commas or line ends, or a JSON array, whose entries may hold commas. */
export const list = listOf(parseList)

/** The same for groups, where a distinguished name needs the JSON array. */
export const groupList = listOf(parseGroups, refuseCutEntries)

/** The same for headers, where a comma inside quotes belongs to a template. */
export const headerList = listOf(parseQuoted)

/** A whole number within bounds, both included. */
export function integer(min: number, max: number) {
  return z
    .string()
    .refine((value) => /^\d{1,12}$/.test(value), 'is not a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `is not between ${min} and ${max}`)
}

/** A span of time; settings give it in whole seconds. */
export interface Duration {
  readonly seconds: number
  readonly ms: number
}

/** Converts seconds to milliseconds in the one place where that is done. */
export function durationOf(seconds: number): Duration {
  return { seconds, ms: seconds * 1000 }
}

/** A duration in whole seconds within bounds, both included. */
export function seconds(min: number, max: number, byDefault: number) {
  return integer(min, max).transform(durationOf).default(durationOf(byDefault))
}
