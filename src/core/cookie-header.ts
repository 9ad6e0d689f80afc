/** The values of one cookie as sent. Only SP and HTAB are trimmed and the name is compared byte by byte (threat A72). */
export function cookieValues(header: string, name: string): string[] {
  const values: string[] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && trimBlanks(pair.slice(0, equals)) === name) {
      values.push(trimBlanks(pair.slice(equals + 1)))
    }
  }
  return values
}

/**
 * One cookie's value; `undefined` when it was not sent and `'ambiguous'` when it was sent with different values,
 * because the order of cookies is the attacker's to choose (threat A71). Identical copies count once.
 */
export function readCookie(
  header: string | undefined,
  name: string,
): { value: string } | 'ambiguous' | undefined {
  if (header === undefined || !header.includes(name)) return undefined
  const values = new Set(cookieValues(header, name))
  if (values.size > 1) return 'ambiguous'
  const [value] = values
  return value ? { value } : undefined
}

/** The header without the named cookies and otherwise byte for byte the same; nothing when nothing is left. */
export function withoutCookies(
  header: string | undefined,
  names: ReadonlySet<string>,
): string | undefined {
  if (!header) return undefined
  const kept = header.split(';').filter((pair) => !names.has(nameOf(pair)))
  const rest = kept.join(';').replace(/^[ \t]+/, '')
  return rest === '' ? undefined : rest
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=')
  return trimBlanks(equals === -1 ? pair : pair.slice(0, equals))
}

function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}
