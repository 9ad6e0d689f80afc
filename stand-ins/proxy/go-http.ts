/** Headers as Go keeps them: canonical names, all values. */
export type GoHeaders = Map<string, string[]>

/**
 * Returns Go's canonical spelling: `x-forwarded-FOR` and `X-Forwarded-For` are one header, `X_Forwarded_For` is
 * another.
 */
export const canonicalName = (name: string): string =>
  name.toLowerCase().replace(/(^|-)([a-z])/g, (match) => match.toUpperCase())

export const goHeaders = (rawHeaders: readonly string[]): GoHeaders => {
  const headers: GoHeaders = new Map()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = canonicalName(rawHeaders[index] ?? '')
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[index + 1] ?? ''])
  }
  return headers
}

/** Returns a flat list, for which `node:http` keeps order, spelling and duplicates. */
export const flatHeaders = (headers: GoHeaders): string[] =>
  [...headers].flatMap(([name, values]) => values.flatMap((value) => [name, value]))

/** Request target after Traefik's normalizePath, sanitizePath and AllowQuerySemicolons. */
export interface GoTarget {
  readonly host: string | undefined
  readonly escapedPath: string
  readonly requestUri: string
}

/** Parses a target; Go's server refuses `malformed`, Traefik refuses `fragment`. */
export const parseTarget = (target: string): GoTarget | 'malformed' | 'fragment' => {
  if (target === '*') return { host: undefined, escapedPath: '*', requestUri: '*' }
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target)
  const rest = absolute ? absolute[2] || '/' : target
  if (!rest.startsWith('/')) return 'malformed'
  const mark = rest.indexOf('?')
  const path = mark < 0 ? rest : rest.slice(0, mark)
  const query = mark < 0 ? '' : rest.slice(mark).replaceAll(';', '&')
  if (/%(?![0-9a-f]{2})/i.test(path)) return 'malformed'
  if (path.includes('#')) return 'fragment'
  const escapedPath = clean(normalize(escapePath(path)))
  return { host: absolute?.[1], escapedPath, requestUri: escapedPath + query }
}

const MAY_STAND_AS_IS = /^[\w\-.~$&+,/:;=@!'()*[\]%]*$/
const MUST_BE_ESCAPED = /[^\w\-.~$&+,/:;=@]/

/** Does what Go's url.EscapedPath does: a validly escaped path stays, any other is escaped again. */
const escapePath = (path: string): string => {
  if (MAY_STAND_AS_IS.test(path)) return path
  const bytes = Buffer.from(unescapeBytes(path), 'latin1')
  return [...bytes].map((byte) => escapeByte(byte, MUST_BE_ESCAPED)).join('')
}

const unescapeBytes = (path: string): string =>
  path.replace(/%[0-9a-f]{2}/gi, (escape) =>
    String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
  )

const escapeByte = (byte: number, escaped: RegExp): string => {
  const character = String.fromCharCode(byte)
  if (!escaped.test(character)) return character
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}

const normalize = (path: string): string =>
  path.replace(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase()
  })

const clean = (path: string): string => {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const cleaned = `/${kept.join('/')}`
  return path.endsWith('/') && cleaned !== '/' ? `${cleaned}/` : cleaned
}

const KNOWN_ATTRIBUTES = [
  'path',
  'domain',
  'expires',
  'max-age',
  'httponly',
  'secure',
  'samesite',
  'partitioned',
]
const SPELLING: Record<string, string> = {
  path: 'Path',
  domain: 'Domain',
  expires: 'Expires',
  'max-age': 'Max-Age',
  httponly: 'HttpOnly',
  secure: 'Secure',
  samesite: 'SameSite',
  partitioned: 'Partitioned',
}

/** Parses and writes a Set-Cookie line as Go does, which drops attributes that Go does not know. */
export const rewriteSetCookie = (line: string): string | undefined => {
  const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
  if (!setCookieName(line)) return undefined
  const known = new Map(
    attributes.map((attribute) => {
      const [name = '', ...value] = attribute.split('=')
      return [name.toLowerCase(), value.join('=')] as const
    }),
  )
  const written = KNOWN_ATTRIBUTES.filter((name) => known.has(name)).map((name) =>
    known.get(name) ? `${SPELLING[name]}=${known.get(name)}` : SPELLING[name],
  )
  return [pair, ...written].join('; ')
}

/** Returns the name of the cookie, or `undefined` for a line that Go cannot parse. */
export const setCookieName = (line: string): string | undefined =>
  /^\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=/.exec(line)?.[1]
