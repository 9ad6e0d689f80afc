import { AuthError, invalidRequest } from '../errors.ts'
import { MAX_AMBIGUOUS_LENGTH, type PathReadings, readPath } from './path-readings.ts'
import type { Site, Sites } from './site.ts'

/** User's request as described by Traefik's headers; no field is taken from our own request line. */
export interface ForwardedRequest {
  readonly method: string
  readonly site: Site
  /** Path and query in ASCII; bytes from 0x80 up are percent-encoded. */
  readonly uri: string
  readonly path: string
  /** Readings of the path by upstream servers. */
  readonly readings: PathReadings
  /** Absolute URL that the visitor requested. */
  readonly url: string
  readonly isWebSocketScheme: boolean
}

/** Parts of Node's `IncomingMessage` that core reads. */
export interface RawRequest {
  readonly rawHeaders: readonly string[]
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

const SINGLE_NAMES = new Set(
  ['method', 'proto', 'host', 'uri'].map((part) => `x-forwarded-${part}`),
)
const OVERRIDE_NAMES = new Set(['x-http-method-override', 'x-http-method', 'x-method-override'])
const CANONICAL_NAME = /^[A-Za-z0-9-]+$/
/** Bytes of path and query, above which a check is refused (finding C43). */
const MAX_URI_BYTES = 16 * 1024

/**
 * Parses the `X-Forwarded-{Method,Proto,Host,Uri}` headers that Traefik writes for `forwardAuth`. Throws `AuthError`
 * `invalid_request`, `hidden_dots`, `foreign_host` or `method_not_allowed` for a missing, duplicate or malformed header
 * (threats A01-A10).
 */
export function parseForwardedRequest(raw: RawRequest, sites: Sites): ForwardedRequest {
  refuseDoubledHeaders(raw.rawHeaders)
  const method = parseMethod(required(raw, 'x-forwarded-method'))
  const proto = required(raw, 'x-forwarded-proto')
  const site = findSite(required(raw, 'x-forwarded-host'), sites)
  const scheme = parseScheme(proto)
  if (scheme !== site.scheme) {
    throw invalidRequest(
      `X-Forwarded-Proto says ${scheme}, but ${site.host} is configured for ${site.scheme}`,
    )
  }
  const uri = parseUri(required(raw, 'x-forwarded-uri'))
  const query = uri.indexOf('?')
  const path = query === -1 ? uri : uri.slice(0, query)
  const isWebSocketScheme = proto === 'ws' || proto === 'wss'
  return {
    method,
    site,
    uri,
    path,
    readings: readingsOf(path),
    url: site.origin + uri,
    isWebSocketScheme,
  }
}

/**
 * Creates a check that returns the first header whose name is an alias of a trusted one, such as `X_Auth_User` (threats
 * A09, A29). Finds none when there are no identity headers.
 */
export function createAliasCheck(
  identityHeaderNames: readonly string[],
): (raw: RawRequest) => string | undefined {
  if (identityHeaderNames.length === 0) return () => undefined
  const trusted = new Set([
    ...identityHeaderNames.map((n) => n.toLowerCase()),
    ...SINGLE_NAMES,
    'x-forwarded-for',
  ])
  const isAlias = remember((name) => !CANONICAL_NAME.test(name) && trusted.has(canonical(name)))
  return ({ rawHeaders }) => {
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] as string
      if (isAlias(name)) return name
    }
    return undefined
  }
}

/** Bit of each header that may occur once, so that the check for duplicates allocates nothing. */
const SINGLE_BITS = new Map([...SINGLE_NAMES].map((name, index) => [name, 1 << index]))
const REFUSED_BIT = 1 << SINGLE_NAMES.size

const bitOf = remember((name) =>
  OVERRIDE_NAMES.has(canonical(name)) ? REFUSED_BIT : (SINGLE_BITS.get(name.toLowerCase()) ?? 0),
)

function refuseDoubledHeaders(rawHeaders: readonly string[]): void {
  let seen = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    const bit = bitOf(name)
    if (bit === REFUSED_BIT) throw invalidRequest(`${name} is not accepted`)
    if ((seen & bit) !== 0) throw invalidRequest(`${name} was sent twice`)
    seen |= bit
  }
}

/** Returns the spelling under which an app may read a header. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}

const MAX_REMEMBERED = 500
const MAX_REMEMBERED_LENGTH = 40

/** Caches a function of header names; empties the cache when clients send too many spellings. */
function remember<T extends number | boolean>(meaningOf: (name: string) => T): (name: string) => T {
  const meanings = new Map<string, T>()
  return (name) => {
    const known = meanings.get(name)
    if (known !== undefined) return known
    const meaning = meaningOf(name)
    if (name.length > MAX_REMEMBERED_LENGTH) return meaning
    if (meanings.size >= MAX_REMEMBERED) meanings.clear()
    meanings.set(name, meaning)
    return meaning
  }
}

function required(raw: RawRequest, name: string): string {
  const value = raw.headers[name]
  if (typeof value === 'string' && value !== '') return value
  throw invalidRequest(`${name} is missing: is this request sent by Traefik's forwardAuth?`)
}

function parseMethod(value: string): string {
  if (value === 'CONNECT' || value === 'TRACE') {
    throw new AuthError('method_not_allowed', `${value} is never allowed`, { isPublic: true })
  }
  if (isMethod(value)) return value
  throw invalidRequest(
    'X-Forwarded-Method is not a method of 1 to 32 characters A-Z, 0-9, "-" and "_"',
  )
}

/** Returns whether a text is a method that the check or a rule takes, also one that no standard names (finding C41). */
export function isMethod(value: string): boolean {
  return /^[A-Z0-9_-]{1,32}$/.test(value)
}

function parseScheme(value: string): 'https' | 'http' {
  if (value === 'https' || value === 'wss') return 'https'
  if (value === 'http' || value === 'ws') return 'http'
  throw invalidRequest('X-Forwarded-Proto is none of http, https, ws and wss')
}

function findSite(value: string, sites: Sites): Site {
  const site = sites.find(value)
  if (site) return site
  throw foreignHost('X-Forwarded-Host is not one of PROTECTED_HOSTS', value)
}

const MAX_HOST_CHARS = 253

/** Returns the refusal of a host, which is named in the log only (finding C44). */
export function foreignHost(message: string, asked = ''): AuthError {
  const [authority = ''] = asked.slice(0, MAX_HOST_CHARS).split(/[/?#\\]/, 1)
  const asked_host = authority.replace(/^.*@/, '').replaceAll(/[^\w.:[\]-]/g, '?')
  const facts = { asked_host, setting: 'PROTECTED_HOSTS' }
  return new AuthError('foreign_host', message, { isPublic: true, facts })
}

/** Throws for a hidden dot segment or too many readings, because no rule can be applied safely (findings C1 and C4). */
function readingsOf(path: string): PathReadings {
  const readings = readPath(path)
  const { fault } = readings
  if (fault === undefined) return readings
  throw fault === 'hidden_dots'
    ? new AuthError('hidden_dots', 'The path has a hidden dot segment.', { isPublic: true })
    : invalidRequest(
        `The path can be read in too many ways, or in more than one and is longer than ${MAX_AMBIGUOUS_LENGTH} characters.`,
      )
}

/** Matches one slash, then no blanks, controls or `#`; bytes above ASCII are encoded afterwards. */
const URI = /^\/(?!\/)[\x21\x22\x24-\x7e\x80-\xff]*$/

function parseUri(value: string): string {
  if (value.length > MAX_URI_BYTES) {
    throw invalidRequest(`X-Forwarded-Uri is longer than ${MAX_URI_BYTES} bytes`)
  }
  if (!URI.test(value)) throw invalidRequest('X-Forwarded-Uri is not a path with an optional query')
  return value.replace(
    /[\x80-\xff]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
