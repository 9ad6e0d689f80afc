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

/** Removes the named cookies and leaves the rest unchanged byte for byte; `undefined` when nothing is left. */
export function withoutCookies(
  header: string | undefined,
  names: ReadonlySet<string>,
): string | undefined {
  if (header === undefined) return undefined
  let kept = ''
  for (let start = 0; start <= header.length; ) {
    const end = pairEnd(header, start)
    if (!names.has(nameOf(header, start, end))) {
      const from = kept === '' ? skipBlanks(header, start) : start
      if (kept !== '') kept += ';'
      kept += header.slice(from, end)
    }
    start = end + 1
  }
  return kept === '' ? undefined : kept
}

/** Returns the value of the cookie whose name starts at `at`; `undefined` where that is not a cookie's name. */
function valueAt(header: string, name: string, at: number): string | undefined {
  const equals = skipBlanks(header, at + name.length)
  if (header.charCodeAt(equals) !== EQUALS || !isPairStart(header, at)) return undefined
  return trimBlanks(header, equals + 1, pairEnd(header, equals))
}

function nameOf(header: string, start: number, end: number): string {
  const equals = header.indexOf('=', start)
  return trimBlanks(header, start, equals === -1 || equals > end ? end : equals)
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
