import { AuthError, invalidRequest } from '../errors.ts'
import { MAX_AMBIGUOUS_LENGTH, type PathReadings, readPath } from './path-readings.ts'
import type { Ambiguity, SentHeaders } from './sent-headers.ts'
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

/** Bytes of path and query, above which a check is refused (finding C43). */
const MAX_URI_BYTES = 16 * 1024

/**
 * Parses the `X-Forwarded-{Method,Proto,Host,Uri}` headers that Traefik writes for `forwardAuth`. Throws `AuthError`
 * `invalid_request`, `hidden_dots`, `foreign_host` or `method_not_allowed` for a missing, duplicate or malformed header
 * (threats A01-A10).
 */
export function parseForwardedRequest(headers: SentHeaders, sites: Sites): ForwardedRequest {
  if (headers.ambiguity) throw ambiguous(headers.ambiguity)
  const method = parseMethod(required(headers.forwardedMethod, 'x-forwarded-method'))
  const proto = required(headers.forwardedProto, 'x-forwarded-proto')
  const site = findSite(required(headers.forwardedHost, 'x-forwarded-host'), sites)
  const scheme = parseScheme(proto)
  if (scheme !== site.scheme) {
    throw invalidRequest(
      `X-Forwarded-Proto says ${scheme}, but ${site.host} is configured for ${site.scheme}`,
    )
  }
  const uri = parseUri(required(headers.forwardedUri, 'x-forwarded-uri'))
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

function ambiguous({ name, fault }: Ambiguity): AuthError {
  return invalidRequest(fault === 'doubled' ? `${name} was sent twice` : `${name} is not accepted`)
}

function required(value: string | undefined, name: string): string {
  if (value !== undefined && value !== '') return value
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

/** Matches one slash, then no blanks, controls or `#`. */
const ASCII_URI = /^\/(?!\/)[\x21\x22\x24-\x7e]*$/
/** Matches the same with bytes above ASCII, which are encoded afterwards. */
const URI = /^\/(?!\/)[\x21\x22\x24-\x7e\x80-\xff]*$/

function parseUri(value: string): string {
  if (value.length > MAX_URI_BYTES) {
    throw invalidRequest(`X-Forwarded-Uri is longer than ${MAX_URI_BYTES} bytes`)
  }
  if (ASCII_URI.test(value)) return value
  if (!URI.test(value)) throw invalidRequest('X-Forwarded-Uri is not a path with an optional query')
  return value.replace(
    /[\x80-\xff]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
