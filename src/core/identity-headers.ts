import { AuthError } from '../errors.ts'
import { encodeHeaderValue, encodeListValue } from './header-value.ts'
import { headerClaim, type Identity, isStandard } from './identity.ts'

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

/** Returns the claims, each once, that headers and conditions need beside those that every identity has. */
export function claimsNamedBy(
  headers: readonly IdentityHeader[],
  compared: readonly string[],
): readonly string[] {
  const named = new Set([...headers.map(({ claim }) => claim), ...compared])
  return [...named].filter((claim) => !isStandard(claim))
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
  const value = headerClaim(identity, claim)
  return typeof value === 'string' ? encodeHeaderValue(value) : encodeListValue(value)
}
