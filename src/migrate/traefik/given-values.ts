import { nearName } from '../../config/sources/near-names.ts'
import type { Note, NoteKind } from '../installation.ts'

/** Fate of an option wherever it is given. */
export interface Fate {
  readonly kind: NoteKind
  readonly text: string
}

export type Fates = Readonly<Record<string, Fate>>

/** Returns a note for each option that was given. */
export function notesOf(given: Iterable<string>, fates: Fates): readonly Note[] {
  return [...given].flatMap((option) => {
    const fate = fates[option]
    return fate ? [{ option, ...fate }] : []
  })
}

/** Returns the problem of an option that the other service does not have, with the one that may be meant. */
export function unknownOption(option: string, fates: Fates): string {
  const names = Object.keys(fates)
  const near = nearName(
    option.toLowerCase(),
    names.map((name) => name.toLowerCase()),
  )
  const meant = names.find((name) => name.toLowerCase() === near)
  return `${option}: is no option of this service${meant === undefined ? '' : `: ${meant} may be meant`}`
}

/** Reads a list: of a file, or in a text with commas. Blanks around an entry do not count, and empty entries are left out. */
export function listOf(value: unknown): readonly string[] {
  return entriesIn(value)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

/** Reads a list with its blanks and empty entries, where the other service compares to the letter. */
export function entriesIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : (textOf(value)?.split(',') ?? [])
}

/** Reads a text, number or flag as text; `undefined` for an empty text and all else. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** Reads a flag as Go does; `undefined` for another value. */
export function flagOf(value: unknown): boolean | undefined {
  const text = String(value).toLowerCase()
  if (['true', 't', '1', 'yes', 'y', 'on'].includes(text)) return true
  return ['false', 'f', '0', 'no', 'n', 'off', ''].includes(text) ? false : undefined
}

/** Reads whole seconds of a number or of a duration such as `1h30m`; `undefined` for another value. */
export function secondsOf(value: unknown): number | undefined {
  const text = String(value).trim()
  if (/^\d+$/.test(text)) return Number(text)
  if (!/^(?:[\d.]+(?:ms|s|m|h))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)]
  const seconds = parts.reduce(
    (sum, [, count, unit = 's']) => sum + Number(count) * (SECONDS[unit] ?? Number.NaN),
    0,
  )
  return Number.isFinite(seconds) ? Math.floor(seconds) : undefined
}

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 }
