import { AuthError } from '../errors.ts'
import { encodeHeaderValue, encodeListValue } from './header-value.ts'
import { comparedClaim, headerClaim, type Identity, isStandard } from './identity.ts'

/** Response header of the check, and what its value is made of. */
export interface IdentityHeader {
  readonly name: string
  readonly source: HeaderSource
}

export type HeaderSource =
  | { readonly kind: 'claim'; readonly claim: string }
  | { readonly kind: 'template'; readonly parts: readonly TemplatePart[] }
  /** The access token, which is no part of an identity: identity headers hold it empty. */
  | { readonly kind: 'access-token' }

/** Part of a template: text in printable ASCII, or a claim in whose place its value stands. */
export type TemplatePart = { readonly text: string } | { readonly claim: string }

/** Default identity headers; the check, the docs and the generated Traefik middleware all read this list. */
export const IDENTITY_HEADERS: readonly IdentityHeader[] = [
  { name: 'X-Auth-Request-User', source: { kind: 'claim', claim: 'sub' } },
  { name: 'X-Auth-Request-Email', source: { kind: 'claim', claim: 'email' } },
  {
    name: 'X-Auth-Request-Preferred-Username',
    source: { kind: 'claim', claim: 'preferred_username' },
  },
  { name: 'X-Auth-Request-Name', source: { kind: 'claim', claim: 'name' } },
  { name: 'X-Auth-Request-Groups', source: { kind: 'claim', claim: 'groups' } },
]

/** Header of `PASS_ACCESS_TOKEN`. */
export const ACCESS_TOKEN_HEADER = 'X-Auth-Request-Access-Token'

/** Headers of oauth2-proxy in the namespace of proxies, which `IDENTITY_HEADERS` may give. */
export const FORWARDED_IDENTITY_HEADERS: readonly string[] = [
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-Preferred-Username',
  'X-Forwarded-Access-Token',
]

/** Returns the names of the headers that a 200 may have. */
export function sentNames(headers: readonly IdentityHeader[]): readonly string[] {
  return [...new Set([...headers.map(({ name }) => name), ACCESS_TOKEN_HEADER])]
}

/**
 * Returns the names of headers that no client may send: those of a 200, and those that apps from other proxies read, because
 * a client could forge each of them that is not sent.
 */
export function guardedNames(headers: readonly IdentityHeader[]): readonly string[] {
  const sent = sentNames(headers)
  const known = new Set(sent.map((name) => name.toLowerCase()))
  return [...sent, ...FORWARDED_IDENTITY_HEADERS.filter((name) => !known.has(name.toLowerCase()))]
}

/** Returns the claims, each once, that headers and conditions need beside those that every identity has. */
export function claimsNamedBy(
  headers: readonly IdentityHeader[],
  compared: readonly string[],
): readonly string[] {
  const named = new Set([...headers.flatMap(claimsOf), ...compared])
  return [...named].filter((claim) => !isStandard(claim))
}

/** Returns the claims that a header is made of. */
export function claimsOf({ source }: IdentityHeader): readonly string[] {
  switch (source.kind) {
    case 'claim':
      return [source.claim]
    case 'template':
      return source.parts.flatMap((part) => ('claim' in part ? part.claim : []))
    case 'access-token':
      return []
  }
}

/** Returns the bytes of the headers that templates make of an identity. */
export function templateBytes(identity: Identity, headers: readonly IdentityHeader[]): number {
  return headers.reduce(
    (sum, { source }) =>
      source.kind === 'template' ? sum + fillTemplate(identity, source.parts).length : sum,
    0,
  )
}

/**
 * Returns all identity headers, empty ones too, so that Traefik replaces each that a client sent. Throws `AuthError`
 * `claims_too_large` above `maxBytes` bytes.
 */
export function identityHeaders(
  identity: Identity | undefined,
  headers: readonly IdentityHeader[],
  maxBytes: number,
): Readonly<Record<string, string>> {
  const values: Record<string, string> = {}
  let bytes = 0
  let largest = { header: headers[0], bytes: 0 }
  for (const header of headers) {
    const value = identity ? encodeSource(identity, header.source) : ''
    values[header.name] = value
    bytes += header.name.length + value.length
    if (value.length > largest.bytes) largest = { header, bytes: value.length }
  }
  if (bytes > maxBytes) throw tooLarge(identity, largest.header, { bytes, maxBytes })
  return values
}

function encodeSource(identity: Identity, source: HeaderSource): string {
  switch (source.kind) {
    case 'claim':
      return encodeClaim(identity, source.claim)
    case 'template':
      return fillTemplate(identity, source.parts)
    case 'access-token':
      return ''
  }
}

function encodeClaim(identity: Identity, claim: string): string {
  const value = headerClaim(identity, claim)
  return typeof value === 'string' ? encodeHeaderValue(value) : encodeListValue(value)
}

/**
 * Puts the claims into a template, each encoded by itself, so that no value is read as a part of the template. Returns ''
 * where one of them is not known or says nothing, because an app could take the rest for a value.
 */
function fillTemplate(identity: Identity, parts: readonly TemplatePart[]): string {
  let filled = ''
  for (const part of parts) {
    const text = 'text' in part ? part.text : encodeKnownClaim(identity, part.claim)
    if (text === '') return ''
    filled += text
  }
  return filled
}

function encodeKnownClaim(identity: Identity, claim: string): string {
  return comparedClaim(identity, claim) === undefined ? '' : encodeClaim(identity, claim)
}

function tooLarge(
  identity: Identity | undefined,
  header: IdentityHeader | undefined,
  { bytes, maxBytes }: { readonly bytes: number; readonly maxBytes: number },
): AuthError {
  const sizeOf = (claim: string) => (identity ? encodeClaim(identity, claim).length : 0)
  const [claim] = (header ? claimsOf(header) : []).toSorted((a, b) => sizeOf(b) - sizeOf(a))
  const largest = claim === undefined ? `header ${header?.name}` : `claim "${claim}"`
  return new AuthError(
    'claims_too_large',
    `the identity headers take ${bytes} bytes, most of them the ${largest}; IDENTITY_HEADERS_MAX_BYTES is ${maxBytes}`,
    {
      isPublic: true,
      facts: { ...(claim !== undefined && { claim }), setting: 'IDENTITY_HEADERS_MAX_BYTES' },
    },
  )
}
