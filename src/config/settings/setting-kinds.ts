import { z } from 'zod'

/** How a setting is documented: `docs/configuration.md` is generated from these. */
export type SettingNotes = {
  readonly section: string
  readonly text: string
  /** Also read from the file that `NAME_FILE` names, and never printed. */
  readonly isSecret?: boolean
}

/** `true` or `false`. */
export const flag = z
  .string()
  .toLowerCase()
  .refine((value) => ['true', 'false'].includes(value), 'is neither true nor false')
  .transform((value) => value === 'true')

/** Entries between separators, without what is empty. */
export const separated = (by: RegExp) =>
  z.string().transform((value) =>
    value
      .split(by)
      .map((entry) => entry.trim())
      .filter((entry) => entry !== ''),
  )

/** Entries separated by commas or newlines, or a list from the file, whose entries may hold commas. */
export const list = z.union([z.array(z.string()), separated(/[,\n]/)])

/** A whole number within bounds, both included. */
export const integer = (min: number, max: number) =>
  z
    .string()
    .refine((value) => /^\d{1,12}$/.test(value), 'is not a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `is not between ${min} and ${max}`)

/** The notes of one setting. */
export const note = (section: string, text: string, isSecret = false): SettingNotes => ({
  section,
  text,
  isSecret,
})
