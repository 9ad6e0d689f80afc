import { FOLDINGS } from './path-folding.ts'
import { everythingBut, latin1Decode, percentDecode } from './percent-decoding.ts'

/** How the software behind us may read a path. */
export interface PathReadings {
  /** Each reading once, in the letters of the path; one alone where all software agrees but for case. */
  readonly all: readonly string[]
  /** Those of software that leaves compatibility forms such as `²` alone, and so compares letters as they are. */
  readonly asWritten: readonly string[]
  /** Why no rule is asked: a dot segment in some reading, or more readings than are worth the work. */
  readonly fault?: PathFault
}

export type PathFault = 'hidden_dots' | 'too_ambiguous'

/** The longest path that may have several readings. */
export const MAX_AMBIGUOUS_LENGTH = 2048
/** Bound the work that a stranger can ask for (finding C4, threat A25). */
export const MAX_READINGS = 64
export const MAX_READ_CHARACTERS = 16 * 1024

/** Finds whether software may change a path: an escape, something to collapse or to cut, a dot at a segment's end. */
const NOT_PLAIN = /[^\w~!$&'()*+,=:@./-]|\/\/|\.(?:\/|$)/
/** The same once letters are decoded: some software changes this, and other does not. */
const CHANGEABLE = /[\\;?#\x00-\x1f\x7f-\x9f]|\/\/|[.\s](?:\/|$)|%[\dA-Fa-f]{2}|%[Uu][\dA-Fa-f]{4}/
/** A segment `.` or `..`, also with blanks and further dots behind it, which some software drops. */
const DOT_SEGMENT =
  /(?:^|\/)[\s\x00-\x1f\x7f-\x9f]*\.{1,2}(?:[\s\x00-\x1f\x7f-\x9f][\s\x00-\x1f\x7f-\x9f.]*)?(?:\/|$)/

/** More combining marks in a row than any language has (UAX #15, stream-safe text): to sort them takes their square. */
const MANY_MARKS = /\p{M}(?<!\p{M}\p{M})\p{M}{30}/u

/** Characters that stand in a path as they are (RFC 3986 section 3.3): an escape is another way to write them. */
const OPTIONAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%"
/** Escapes that a browser must write; they count as their letters. */
const REQUIRED_ESCAPES = everythingBut(OPTIONAL)
const ALL_ESCAPES = everythingBut('')
/** As decoders do that keep `%2F` apart from the slashes between segments: Kestrel, Spring, Go's mux, Apache. */
const ALL_BUT_SLASH = everythingBut('/')

const MAX_ROUNDS = 3

type Step = (text: string) => string

/** Changes that software makes to a whole path, in any order. */
const STEPS: readonly Step[] = [
  (text) => text.replaceAll('\\', '/'),
  (text) => (text.includes(';') ? text.replace(/;[^/]*/g, '') : text),
  (text) => (text.includes('//') ? text.replace(/\/{2,}/g, '/') : text),
  // A path that begins with two slashes, taken for an address with a host.
  (text) => (text.startsWith('//') ? text.replace(/^\/+[^/]*/, '') || '/' : text),
  (text) => cutAt(text, '\0'),
  (text) => cutAt(text, '?'),
  (text) => cutAt(text, '#'),
  // The look-behind keeps the work linear: a run is tried from its start only.
  (text) => text.replace(/(?<![.\s\x00-\x1f\x7f-\x9f])[.\s\x00-\x1f\x7f-\x9f]+(?=\/|$)/g, ''),
  // Parsers of URLs leave out tabs and line ends.
  (text) => text.replace(/[\t\n\r]+/g, ''),
  (text) => (text.includes('%') ? latin1Decode(text) : text),
]
const toCompatible: Step = (text) => (/[^\x00-\x7f]/.test(text) ? text.normalize('NFKC') : text)
const STEPS_OF_COMPATIBLE = [toCompatible, ...STEPS]

/**
 * Finds every way in which software behind us may read a path: the product of the choices that servers make
 * independently, each for the whole path and in any order (findings C1, C2, C5).
 */
export function readPath(path: string): PathReadings {
  if (!NOT_PLAIN.test(path)) return alike([path])
  const letters = percentDecode(path, REQUIRED_ESCAPES)
  if (MANY_MARKS.test(letters)) return { ...alike([letters]), fault: 'too_ambiguous' }
  if (!isChangeable(letters)) return alike([letters])
  if (path.length > MAX_AMBIGUOUS_LENGTH) {
    const fault = DOT_SEGMENT.test(letters) ? 'hidden_dots' : 'too_ambiguous'
    return { ...alike([letters]), fault }
  }
  const written = readInEveryWay(letters, STEPS)
  if (written.fault || written.all.every((text) => toCompatible(text) === text)) return written
  return { ...readInEveryWay(letters, STEPS_OF_COMPATIBLE), asWritten: written.all }
}

function alike(all: readonly string[]): PathReadings {
  return { all, asWritten: all }
}

/** Whether any reading lies at or below `base` (a lower-case prefix without a final slash). */
export function isUnder(base: string, readings: readonly string[]): boolean {
  return readings.some((reading) => {
    const folded = FOLDINGS.compatible(reading)
    return folded.startsWith(base) && (folded.length === base.length || folded[base.length] === '/')
  })
}

/** Answers the same for an address that somebody is sent to: behind a hidden dot segment `base` may stand anywhere. */
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

function readInEveryWay(letters: string, steps: readonly Step[]): PathReadings {
  const found = new Set([letters])
  let ofRound = new Set(found)
  let characters = 0
  for (let round = 0; ofRound.size > 0; round++) {
    // Grows while it is walked.
    for (const text of ofRound) {
      characters += text.length
      if (found.size > MAX_READINGS || characters > MAX_READ_CHARACTERS) {
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
