import { AuthError } from '../errors.ts'
import type { HeaderClaim } from './claim-shapes.ts'
import { encodeHeaderValue, encodeListValue } from './header-value.ts'

/** User as named by the provider, reduced to the claims that headers and rules use. */
export interface Identity {
  readonly issuer: string
  readonly subject: string
  /** E-mail address, if it is verified or the provider's addresses are trusted. */
  readonly email?: string
  readonly preferredUsername?: string
  readonly name?: string
  readonly groups: readonly string[]
  /** Additional claims named in `IDENTITY_HEADERS`. */
  readonly claims: Readonly<Record<string, HeaderClaim>>
}

/** Response header of the check, and the claim in it. */
export interface IdentityHeader {
  readonly name: string
  readonly claim: string
}

/** Default identity headers; the check, the docs and the generated Traefik middleware all read this list. */
export const IDENTITY_HEADERS: readonly IdentityHeader[] = [
  { name: 'X-Auth-Request-User', claim: 'sub' },
  { name: 'X-Auth-Request-Email', claim: 'email' },
  { name: 'X-Auth-Request-Preferred-Username', claim: 'preferred_username' },
  { name: 'X-Auth-Request-Name', claim: 'name' },
  { name: 'X-Auth-Request-Groups', claim: 'groups' },
]

/** Header of `PASS_ACCESS_TOKEN`, guarded even where it is not set, because apps may read it. */
export const ACCESS_TOKEN_HEADER = 'X-Auth-Request-Access-Token'

const STANDARD = new Map<string, (identity: Identity) => HeaderClaim>([
  ['sub', (identity) => identity.subject],
  ['email', (identity) => identity.email ?? ''],
  ['preferred_username', (identity) => identity.preferredUsername ?? ''],
  ['name', (identity) => identity.name ?? ''],
  ['groups', (identity) => identity.groups],
])

/** Returns whether an identity has a member of its own for a claim. */
export function isStandard(claim: string): boolean {
  return STANDARD.has(claim)
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
  let largest = { claim: '', bytes: 0 }
  for (const { name, claim } of headers) {
    const value = identity ? encodeClaim(identity, claim) : ''
    values[name] = value
    bytes += name.length + value.length
    if (value.length > largest.bytes) largest = { claim, bytes: value.length }
  }
  if (bytes > maxBytes) {
    throw new AuthError(
      'claims_too_large',
      `the identity headers take ${bytes} bytes, most of them the claim "${largest.claim}"; IDENTITY_HEADERS_MAX_BYTES is ${maxBytes}`,
      {
        isPublic: true,
        facts: { claim: largest.claim, setting: 'IDENTITY_HEADERS_MAX_BYTES' },
      },
    )
  }
  return values
}

function encodeClaim(identity: Identity, claim: string): string {
  const value = valueOf(identity, claim)
  return typeof value === 'string' ? encodeHeaderValue(value) : encodeListValue(value)
}

/** Returns `''` for a claim of a header that was configured after the sign-in. */
function valueOf(identity: Identity, claim: string): HeaderClaim {
  const standard = STANDARD.get(claim)
  if (standard) return standard(identity)
  return Object.hasOwn(identity.claims, claim) ? (identity.claims[claim] as HeaderClaim) : ''
}

/** Bounds the page, because Traefik answers an empty 401 for one above its `maxResponseBodySize`. */
const MAX_NAME_CHARS = 200

/** Returns the name by which a page addresses its user. */
export function displayName({ email, preferredUsername, name, subject }: Identity): string {
  return (email ?? preferredUsername ?? name ?? subject).slice(0, MAX_NAME_CHARS)
}
