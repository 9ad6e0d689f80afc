import { z } from 'zod'

/** Documentation of a setting, from which `docs/configuration.md` is generated. */
export interface SettingNotes {
  readonly section: string
  readonly text: string
  /** Also read from the file that `NAME_FILE` names, and never printed. */
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

/** Entries between separators; empty ones are dropped. */
export function separated(by: RegExp) {
  return z.string().transform((value) =>
    value
      .split(by)
      .map((entry) => entry.trim())
      .filter((entry) => entry !== ''),
  )
}

/** Entries separated by commas or newlines, or a list from the file, whose entries may hold commas. */
export const list = z.union([z.array(z.string()), separated(/[,\n]/)])

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
