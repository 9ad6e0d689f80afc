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
}

/** Reads our cookies as `readCookie` does and cuts all of them out, in one pass. */
export function cutCookies(header: string | undefined, names: OwnCookieNames): CutCookies {
  if (header === undefined) return NO_COOKIES
  let session: string | undefined
  let outage: string | undefined
  let kept = ''
  /** Begin of the pairs to keep that are not in `kept` yet; -1 where there are none. */
  let from = -1
  for (let start = 0; start <= header.length; ) {
    const end = pairEnd(header, start)
    const equals = equalsIn(header, start, end)
    const name = trimBlanks(header, start, equals)
    if (!names.all.has(name)) {
      if (from === -1) from = start
    } else {
      if (from !== -1) kept = joined(kept, header.slice(from, start - 1))
      from = -1
      if (name === names.session) session = merged(session, header, equals, end)
      else if (name === names.outage) outage = merged(outage, header, equals, end)
    }
    start = end + 1
  }
  if (from !== -1) kept = joined(kept, header.slice(from))
  return {
    session: single(session),
    isSessionAmbiguous: session === SEVERAL,
    outage: single(outage),
    others: kept || undefined,
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

/** Returns the value of a pair beside those before it. */
function merged(
  before: string | undefined,
  header: string,
  equals: number,
  end: number,
): string | undefined {
  if (equals === end) return before
  const value = trimBlanks(header, equals + 1, end)
  return before === undefined || before === value ? value : SEVERAL
}

function single(value: string | undefined): string | undefined {
  return value === SEVERAL || value === '' ? undefined : value
}

/** Returns the end of the pair where it has no `=`. */
function equalsIn(header: string, start: number, end: number): number {
  let at = start
  while (at < end && header.charCodeAt(at) !== EQUALS) at++
  return at
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
  const start = skipBlanks(text, from)
  let end = to
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(Math.min(start, end), end)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
