const SEMICOLON = 59
const EQUALS = 61

/**
 * One cookie's value; `undefined` when it was not sent and `'ambiguous'` when it was sent with different values,
 * because the order of cookies is the attacker's to choose (threat A71). Identical copies count once. Only SP and
 * HTAB are trimmed and the name is compared letter by letter (threat A72).
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

/** Every value that a cookie was sent with, each once, in their order. */
export function readCookies(header: string | undefined, name: string): readonly string[] {
  const found = new Set<string>()
  if (header === undefined) return []
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + name.length)) {
    const value = valueAt(header, name, at)
    if (value) found.add(value)
  }
  return [...found]
}

/** The header without the named cookies and otherwise byte for byte the same; nothing when nothing is left. */
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

/** What belongs to the name that stands here; nothing where it is not the name of a cookie. */
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
