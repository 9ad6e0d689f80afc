import { FOLDINGS } from './path-folding.ts'
import { everythingBut, latin1Decode, percentDecode } from './percent-decoding.ts'

/** Readings of a path by upstream software. */
export interface PathReadings {
  /** Distinct readings, not folded; a single one means that all software agrees except about case. */
  readonly all: readonly string[]
  /** Readings by software that does not normalize compatibility forms such as `²`. */
  readonly asWritten: readonly string[]
  /** Reason to refuse the path without consulting a rule: a dot segment in some reading, or too many readings. */
  readonly fault?: PathFault
}

/** Fault because of which no rule is consulted; the check answers 400. */
export type PathFault = 'hidden_dots' | 'too_ambiguous'

/** Longest path that may have several readings. */
export const MAX_AMBIGUOUS_LENGTH = 2048
/** Bounds on the work of one unauthenticated request (finding C4, threat A25). */
export const MAX_READINGS = 32
/** Longest readings of a path together. */
export const MAX_READ_CHARACTERS = 8 * 1024

/**
 * Matches a path that some software may rewrite: an escape, a separator to collapse or cut at, a segment ending in a
 * dot.
 */
const NOT_PLAIN = /[^\w~!$&'()*+,=:@./-]|\/\/|\.(?:\/|$)/
/** Matches the same in a decoded path, which some software rewrites and some does not. */
const CHANGEABLE = /[\\;?#\x00-\x1f\x7f-\x9f]|\/\/|[.\s](?:\/|$)|%[\dA-Fa-f]{2}|%[Uu][\dA-Fa-f]{4}/
/** Matches a segment `.` or `..`, also with blanks and further dots behind it, which some software strips. */
const DOT_SEGMENT =
  /(?:^|\/)[\s\x00-\x1f\x7f-\x9f]*\.{1,2}(?:[\s\x00-\x1f\x7f-\x9f][\s\x00-\x1f\x7f-\x9f.]*)?(?:\/|$)/

/**
 * Matches more than 30 combining marks in a row (UAX #15, stream-safe text), because sorting them takes quadratic time.
 */
const MANY_MARKS = /\p{M}(?<!\p{M}\p{M})\p{M}{30}/u

/** Matches a row of escapes. */
const ESCAPES = /(?:%[\dA-Fa-f]{2})+/g
const HIGH_ESCAPE = /%[89A-Fa-f][\dA-Fa-f]/
const BEYOND_ASCII = /[^\x00-\x7f]/
const SEPARATOR_ESCAPE = /%(?:00|2[35Ff]|3[BFbf]|5[Cc])/

/** Characters that may appear unescaped in a path (RFC 3986 section 3.3), so that escaping them is optional. */
const OPTIONAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%"
/** Characters that a browser must escape; their escapes are decoded before anything else. */
const REQUIRED_ESCAPES = everythingBut(OPTIONAL)
const ALL_ESCAPES = everythingBut('')
/** Characters decoded by servers that keep `%2F` distinct from a separator: Kestrel, Spring, Go's mux, Apache. */
const ALL_BUT_SLASH = everythingBut('/')

const TRAILING_DOT = /[.\s\x00-\x1f\x7f-\x9f](?:\/|$)/
/** Matches in linear time, because the look-behind tries each run from its start only. */
const TRAILING_DOTS = /(?<![.\s\x00-\x1f\x7f-\x9f])[.\s\x00-\x1f\x7f-\x9f]+(?=\/|$)/g

const MAX_ROUNDS = 3

type Step = (text: string) => string

/** Rewrites that software applies to a whole path, in any order. */
const STEPS: readonly Step[] = [
  (text) => text.replaceAll('\\', '/'),
  (text) => (text.includes(';') ? text.replace(/;[^/]*/g, '') : text),
  (text) => (text.includes('//') ? text.replace(/\/{2,}/g, '/') : text),
  // Drops a host, as parsers do that take a leading `//` for a network-path reference.
  (text) => (text.startsWith('//') ? text.replace(/^\/+[^/]*/, '') || '/' : text),
  (text) => cutAt(text, '\0'),
  (text) => cutAt(text, '?'),
  (text) => cutAt(text, '#'),
  (text) => (TRAILING_DOT.test(text) ? text.replace(TRAILING_DOTS, '') : text),
  // URL parsers remove tabs and line breaks.
  (text) => text.replace(/[\t\n\r]+/g, ''),
  (text) => (text.includes('%') ? latin1Decode(text) : text),
]
const toCompatible: Step = (text) => (BEYOND_ASCII.test(text) ? text.normalize('NFKC') : text)
const STEPS_OF_COMPATIBLE = [toCompatible, ...STEPS]

/**
 * Finds every reading of a path by upstream software: all combinations of the rewrites that servers make independently,
 * each of the whole path and in any order (findings C1, C2, C5). `/a%3Bb` is read as `/a%3Bb`, `/a;b` and `/a`, and
 * `/public/..;/admin` has the fault `hidden_dots`.
 */
export function readPath(path: string): PathReadings {
  if (!NOT_PLAIN.test(path)) return alike([path])
  const letters = percentDecode(path, REQUIRED_ESCAPES)
  if (MANY_MARKS.test(letters) || hasMixedEncodings(path)) {
    return { ...alike([letters]), fault: 'too_ambiguous' }
  }
  if (!isChangeable(letters)) return alike([letters])
  if (path.length > MAX_AMBIGUOUS_LENGTH) {
    const fault = DOT_SEGMENT.test(letters) ? 'hidden_dots' : 'too_ambiguous'
    return { ...alike([letters]), fault }
  }
  const written = readInEveryWay(letters, STEPS, MAX_READ_CHARACTERS)
  if (written.fault || written.all.every((text) => toCompatible(text) === text)) return written
  const left = MAX_READ_CHARACTERS - written.all.join('').length
  return { ...readInEveryWay(letters, STEPS_OF_COMPATIBLE, left), asWritten: written.all }
}

function alike(all: readonly string[]): PathReadings {
  return { all, asWritten: all }
}

/** Returns whether any reading lies at or below `base`, a lower-case prefix without a final slash. */
export function isUnder(base: string, readings: readonly string[]): boolean {
  for (const reading of readings) {
    const folded = FOLDINGS.compatible(reading)
    if (!folded.startsWith(base)) continue
    if (folded.length === base.length || folded[base.length] === '/') return true
  }
  return false
}

/**
 * Returns whether a redirect target may lie under `base`, which may appear anywhere in a path with a hidden dot
 * segment.
 */
export function mayLeadUnder(base: string, { all, fault }: PathReadings): boolean {
  if (fault === undefined) return isUnder(base, all)
  if (fault === 'too_ambiguous') return true
  return all.some((reading) => FOLDINGS.compatible(decodeFully(reading)).includes(base))
}

function decodeFully(text: string): string {
  let decoded = text
  for (let round = 0; round < MAX_ROUNDS; round++) {
    decoded = percentDecode(decoded, ALL_ESCAPES, true).replaceAll('\\', '/')
  }
  return decoded
}

function isChangeable(text: string): boolean {
  return CHANGEABLE.test(text) || toCompatible(text) !== text
}

function readInEveryWay(
  letters: string,
  steps: readonly Step[],
  maxCharacters: number,
): PathReadings {
  const found = new Set([letters])
  let ofRound = new Set(found)
  let characters = 0
  for (let round = 0; ofRound.size > 0; round++) {
    // `add` extends the set during this iteration.
    for (const text of ofRound) {
      characters += text.length
      const isOver = found.size > MAX_READINGS || characters > maxCharacters
      if (isOver || hasMixedEncodings(text)) {
        return { ...alike([...found]), fault: 'too_ambiguous' }
      }
      if (DOT_SEGMENT.test(text)) return { ...alike([...found]), fault: 'hidden_dots' }
      for (const step of steps) add(step(text), ofRound, found)
    }
    const next = new Set<string>()
    if (round < MAX_ROUNDS) for (const text of ofRound) decodeInto(next, found, text)
    ofRound = next
  }
  return alike([...found])
}

/**
 * Returns whether bytes that are no UTF-8 share a row of escapes with a separator or with valid UTF-8, which may be
 * compatible with one: some decoders leave such a row as it stands, or take all of it for Latin-1, and decode the
 * others.
 */
function hasMixedEncodings(text: string): boolean {
  if (!HIGH_ESCAPE.test(text)) return false
  return [...text.matchAll(ESCAPES)].some(([row]) => {
    const decoded = percentDecode(row, ALL_ESCAPES)
    return HIGH_ESCAPE.test(decoded) && (SEPARATOR_ESCAPE.test(row) || BEYOND_ASCII.test(decoded))
  })
}

function decodeInto(next: Set<string>, found: Set<string>, text: string): void {
  if (found.size > MAX_READINGS || !text.includes('%')) return
  const hasUtf16 = /%u[0-9a-f]{4}/i.test(text)
  for (const taken of /%2f/i.test(text) ? [ALL_ESCAPES, ALL_BUT_SLASH] : [ALL_ESCAPES]) {
    for (const takesUtf16 of hasUtf16 ? [false, true] : [false]) {
      add(percentDecode(text, taken, takesUtf16), next, found)
    }
  }
}

function add(text: string, round: Set<string>, found: Set<string>): void {
  if (found.has(text)) return
  found.add(text)
  round.add(text)
}

function cutAt(text: string, end: string): string {
  const at = text.indexOf(end)
  return at === -1 ? text : text.slice(0, at)
}
