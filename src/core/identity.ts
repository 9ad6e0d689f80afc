import { AuthError } from '../errors.ts'
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
  readonly claims: Readonly<Record<string, string | readonly string[]>>
}

/** Response header of the check, and the claim in it. */
export interface IdentityHeader {
  readonly name: string
  readonly claim: string
}

/** Settings for deriving an identity from claims. */
export interface IdentityOptions {
  readonly groupsClaim: string
  readonly trustEmail: boolean
  readonly headers: readonly IdentityHeader[]
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

/** Claims as received from a provider, of any type. */
export type Claims = Readonly<Record<string, unknown>>

const STANDARD = new Map<string, (identity: Identity) => string | readonly string[]>([
  ['sub', (identity) => identity.subject],
  ['email', (identity) => identity.email ?? ''],
  ['preferred_username', (identity) => identity.preferredUsername ?? ''],
  ['name', (identity) => identity.name ?? ''],
  ['groups', (identity) => identity.groups],
])

/**
 * Returns a claim by its literal name, else by a dotted path (`realm_access.roles`). Never returns inherited properties
 * such as `constructor` (threat A35).
 */
export function claimValue(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Claims)[key]
  }
  return value
}

/** Reduces claims to an identity; `iss` and `sub` must have been verified before. */
export function toIdentity(claims: Claims, options: IdentityOptions): Identity {
  const email = hasUsableEmail(claims, options) ? text(claims['email']) : ''
  const preferredUsername = text(claims['preferred_username'])
  const name = text(claims['name'])
  const extra = options.headers.filter(({ claim }) => !STANDARD.has(claim))
  return {
    issuer: text(claims['iss']),
    subject: text(claims['sub']),
    ...(email && { email }),
    ...(preferredUsername && { preferredUsername }),
    ...(name && { name }),
    groups: list(claimValue(claims, options.groupsClaim)),
    claims: Object.fromEntries(
      extra.map(({ claim }) => [claim, scalarOrList(claimValue(claims, claim))]),
    ),
  }
}

/** Returns the ignored claims, each with its reason and without its value, because the result is logged. */
export function ignoredClaims(claims: Claims, options: IdentityOptions): readonly string[] {
  const isIgnored = text(claims['email']) !== '' && !hasUsableEmail(claims, options)
  return isIgnored ? ['email: not verified'] : []
}

/** Accepts `email_verified` as text too, because some providers send the boolean as a string (finding C23). */
function hasUsableEmail(claims: Claims, { trustEmail }: IdentityOptions): boolean {
  const verified = claims['email_verified']
  return trustEmail || verified === true || verified === 'true'
}

/** Returns whether claims that headers or rules may need are missing, and UserInfo should be asked. */
export function lacksClaims(
  claims: Claims,
  { groupsClaim, trustEmail, headers }: IdentityOptions,
): boolean {
  const wanted = headers.map(({ claim }) => (claim === 'groups' ? groupsClaim : claim))
  if (!trustEmail) wanted.push('email_verified')
  return wanted.some((claim) => isAbsent(claimValue(claims, claim)))
}

/** Treats `null` and `""` as absent, because providers send either for a claim without a value. */
export function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === ''
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
      { isPublic: true },
    )
  }
  return values
}

function encodeClaim(identity: Identity, claim: string): string {
  const value = valueOf(identity, claim)
  return typeof value === 'string' ? encodeHeaderValue(value) : encodeListValue(value)
}

/** Returns `''` for a claim of a header that was configured after the sign-in. */
function valueOf(identity: Identity, claim: string): string | readonly string[] {
  const standard = STANDARD.get(claim)
  if (standard) return standard(identity)
  return Object.hasOwn(identity.claims, claim) ? (identity.claims[claim] as string | string[]) : ''
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function list(value: unknown): readonly string[] {
  const members = Array.isArray(value) ? value : [value]
  return members.filter((member): member is string => typeof member === 'string' && member !== '')
}

function scalarOrList(value: unknown): string | readonly string[] {
  if (Array.isArray(value)) return list(value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : text(value)
}
