import { isAbsent } from './claims.ts'
import { isRecord } from './json.ts'

/** Value read from a claim, and why some or all of it was ignored. */
export interface Reading<Value> {
  readonly value: Value
  readonly ignored?: string
}

/** Values of a header, as kept in an identity. */
export type HeaderClaim = string | readonly string[]

const NO_GROUPS = 'neither a list, text, a number nor a map'
const NO_MEMBERS = 'neither text, a number nor an object with a name'
const NO_HEADER = 'neither text, a number, true or false, nor a list'

/**
 * Reads groups from a list, one string, a string to be split by `separator`, a list of objects with a `name`, or a map
 * whose keys are groups (C24). Members of a list are never split, because their own names may hold the separator.
 */
export function readGroups(value: unknown, separator?: string): Reading<readonly string[]> {
  if (isAbsent(value)) return { value: [] }
  if (typeof value === 'string') return { value: unique(split(value, separator)) }
  if (Array.isArray(value)) return readMembers(value)
  if (typeof value === 'object') return { value: keysOf(value as object) }
  const written = numeral(value)
  return written === undefined ? { value: [], ignored: NO_GROUPS } : { value: [written] }
}

/**
 * Reads a claim for a header of its own: text, a number, a boolean, or a list of these and of what groups may be. Where it
 * is comparable, the value is all of its texts.
 */
export function readHeaderClaim(value: unknown): Reading<HeaderClaim> {
  if (isAbsent(value)) return { value: '' }
  if (Array.isArray(value)) {
    return readMembers(value.map((each: unknown) => (typeof each === 'boolean' ? `${each}` : each)))
  }
  return isScalar(value) ? { value: String(value) } : { value: '', ignored: NO_HEADER }
}

/**
 * Returns whether the texts of a claim say all that it says: it is text, a boolean, an exact number, or a list of these,
 * in which absent members do not count.
 */
export function isComparable(value: unknown): boolean {
  return Array.isArray(value)
    ? value.every((each) => isAbsent(each) || isExactScalar(each))
    : isExactScalar(value)
}

function isExactScalar(value: unknown): boolean {
  return isScalar(value) && (typeof value !== 'number' || numeral(value) !== undefined)
}

/** Reads a claim that must be text. */
export function readText(value: unknown): Reading<string> {
  if (typeof value === 'string') return { value }
  return isAbsent(value) ? { value: '' } : { value: '', ignored: 'not text' }
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

function readMembers(list: readonly unknown[]): Reading<readonly string[]> {
  const present = list.filter((member) => !isAbsent(member))
  const read = present.map(namesOf)
  const lost = read.filter((names) => names.length === 0).length
  return {
    value: unique(read.flat()),
    ...(lost > 0 && { ignored: `${lost} of ${present.length} members, ${NO_MEMBERS}` }),
  }
}

function namesOf(member: unknown): readonly string[] {
  if (typeof member === 'string') return [member]
  if (typeof member !== 'object' || member === null) {
    const written = numeral(member)
    return written === undefined ? [] : [written]
  }
  const { name } = { name: undefined, ...member }
  if (typeof name === 'string' && name !== '') return [name]
  return isMapOfMaps(member) ? keysOf(member) : []
}

/**
 * Returns whether a member is a map such as `{"admin": {"7": "acme.test"}}`, as Zitadel's documentation lists them. Values of
 * other kinds are details of one group, whose names are no groups.
 */
function isMapOfMaps(member: object): boolean {
  return isRecord(member) && Object.values(member).every(isMapOfTexts)
}

function isMapOfTexts(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((each) => typeof each === 'string')
}

/** Writes a number out, but none so large that two of them may have become one when the JSON was read. */
function numeral(value: unknown): string | undefined {
  const isExact = typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER
  return isExact ? String(value) : undefined
}

/** Returns the keys of a map such as Zitadel's `{"admin": {"7": "acme.test"}}`, without those that are denied. */
function keysOf(map: object): readonly string[] {
  return Object.entries(map)
    .filter(([key, value]) => key !== '' && value !== false && !isAbsent(value))
    .map(([key]) => key)
}

/** Splits at a separator, at any blanks where it is the word `space`. */
function split(text: string, separator: string | undefined): readonly string[] {
  if (separator === undefined) return [text]
  return text
    .split(separator === 'space' ? /\s+/ : separator)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)]
}
