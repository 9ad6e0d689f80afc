const SEMICOLON = 59
const EQUALS = 61

/**
 * Returns one cookie's value; `undefined` when it was not sent, `'ambiguous'` for different values, because an attacker
 * can choose the order of cookies (threat A71). Trims SP and HTAB only and compares names exactly (threat A72).
 */
export function readCookie(
  header: string | undefined,
  name: string,
): { value: string } | 'ambiguous' | undefined {
  if (header === undefined) return undefined
  let found: string | undefined
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + name.length)) {
    const value = valueAt(header, name, at)
    if (value === undefined) continue
    if (found !== undefined && found !== value) return 'ambiguous'
    found = value
  }
  return found ? { value: found } : undefined
}

/** Returns the distinct values of a cookie, in their order. */
export function readCookies(header: string | undefined, name: string): readonly string[] {
  const found = new Set<string>()
  if (header === undefined) return []
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + name.length)) {
    const value = valueAt(header, name, at)
    if (value) found.add(value)
  }
  return [...found]
}

/** Cookies of ours that a check reads, and what is left for the app. */
export interface CutCookies {
  /** Absent where it was not sent, is empty or has several values. */
  readonly session: string | undefined
  readonly isSessionAmbiguous: boolean
  /** Absent like `session`. */
  readonly outage: string | undefined
  /** All cookies but ours, byte for byte as sent. */
  readonly others: string | undefined
}

/** Names of our cookies: the two that a check reads, and all in every variant. */
export interface OwnCookieNames {
  readonly session: string
  readonly outage: string
  readonly all: ReadonlySet<string>
  /** Lengths of all names. */
  readonly lengths: ReadonlySet<number>
}

/** Reads our cookies as `readCookie` does and cuts all of them out, in one pass. */
export function cutCookies(header: string | undefined, names: OwnCookieNames): CutCookies {
  if (header === undefined) return NO_COOKIES
  const own: OwnValues = { session: undefined, outage: undefined }
  let kept = ''
  /** Begin of the pairs to keep that are not in `kept` yet; -1 where there are none. */
  let from = -1
  let nextEquals = -1
  for (let start = 0; start <= header.length; ) {
    const end = pairEnd(header, start)
    // Searches on from where it found one, so that pairs without any take linear time.
    if (nextEquals < start) nextEquals = equalsFrom(header, start)
    const equals = Math.min(nextEquals, end)
    const name = ownNameIn(header, start, equals, names)
    if (name === undefined) {
      if (from === -1) from = start
    } else {
      if (from !== -1) kept = joined(kept, header.slice(from, start - 1))
      from = -1
      if (equals < end) note(own, names, name, trimBlanks(header, equals + 1, end))
    }
    start = end + 1
  }
  if (from !== -1) kept = joined(kept, header.slice(from))
  return {
    session: single(own.session),
    isSessionAmbiguous: own.session === SEVERAL,
    outage: single(own.outage),
    // Ends without the blank that an empty field of HTTP/2 leaves, which no header may end with (RFC 9113 section 8.2.1).
    others: trimBlanks(kept, 0, kept.length) || undefined,
  }
}

const NO_COOKIES: CutCookies = {
  session: undefined,
  isSessionAmbiguous: false,
  outage: undefined,
  others: undefined,
}

/** Stands for several values, as no value can have it. */
const SEVERAL = ';'

interface OwnValues {
  session: string | undefined
  outage: string | undefined
}

function note(own: OwnValues, names: OwnCookieNames, name: string, value: string): void {
  if (name === names.session) own.session = merged(own.session, value)
  else if (name === names.outage) own.outage = merged(own.outage, value)
}

function merged(before: string | undefined, value: string): string {
  return before === undefined || before === value ? value : SEVERAL
}

function single(value: string | undefined): string | undefined {
  return value === SEVERAL || value === '' ? undefined : value
}

function equalsFrom(header: string, start: number): number {
  const equals = header.indexOf('=', start)
  return equals === -1 ? header.length : equals
}

/** Returns which of our names stands here; compares with the hot ones in place, because a slice has to be hashed. */
function ownNameIn(
  header: string,
  start: number,
  end: number,
  { session, outage, all, lengths }: OwnCookieNames,
): string | undefined {
  const from = skipBlanks(header, start)
  const to = trimmedEnd(header, from, end)
  if (!lengths.has(to - from)) return undefined
  if (to - from === session.length && header.startsWith(session, from)) return session
  if (to - from === outage.length && header.startsWith(outage, from)) return outage
  const name = header.slice(from, to)
  return all.has(name) ? name : undefined
}

/** Joins pairs as they were sent, without blanks and empty pairs before the first. */
function joined(kept: string, pairs: string): string {
  if (kept !== '') return `${kept};${pairs}`
  let start = 0
  while (isBlank(pairs.charCodeAt(start)) || pairs.charCodeAt(start) === SEMICOLON) start++
  return pairs.slice(start)
}

/** Returns the value of the cookie whose name starts at `at`; `undefined` where that is not a cookie's name. */
function valueAt(header: string, name: string, at: number): string | undefined {
  const equals = skipBlanks(header, at + name.length)
  if (header.charCodeAt(equals) !== EQUALS || !isPairStart(header, at)) return undefined
  return trimBlanks(header, equals + 1, pairEnd(header, equals))
}

function isPairStart(header: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && isBlank(header.charCodeAt(before))) before--
  return before < 0 || header.charCodeAt(before) === SEMICOLON
}

function pairEnd(header: string, from: number): number {
  const end = header.indexOf(';', from)
  return end === -1 ? header.length : end
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (isBlank(text.charCodeAt(at))) at++
  return at
}

function trimBlanks(text: string, from: number, to: number): string {
  const start = Math.min(skipBlanks(text, from), to)
  return text.slice(start, trimmedEnd(text, start, to))
}

function trimmedEnd(text: string, from: number, to: number): number {
  let end = to
  while (end > from && isBlank(text.charCodeAt(end - 1))) end--
  return Math.max(from, end)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
