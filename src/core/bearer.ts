import { type Claims, claimValue } from './identity.ts'
import type { EpochMs, Principal } from './session.ts'

/** `at+jwt` is an access token by RFC 9068; `jwt` has no such mark on it. */
export type TokenType = 'at+jwt' | 'jwt'

/** A verified token, reduced to what rules ask of it. */
export interface Bearer extends Principal {
  readonly type: TokenType
  readonly audiences: readonly string[]
  readonly scopes: ReadonlySet<string>
  readonly claims: Claims
  readonly jti?: string
  /** From `iat` to `exp`; absent without an `iat`. */
  readonly lifeSeconds?: number
  /** The end, with the tolerance that clocks get. */
  readonly acceptedUntil: EpochMs
  /** Of the key that the token is bound to (RFC 9449 section 6.1). */
  readonly keyThumbprint?: string
}

/** What one rule asks of a token. */
export interface BearerRequirement {
  readonly issuers: ReadonlySet<string>
  readonly audiences: ReadonlySet<string>
  /** All of them are needed. */
  readonly scopes: readonly string[]
  /** Of each claim one of these values is needed. */
  readonly claims: ReadonlyMap<string, ReadonlySet<string>>
  /** `jwt` accepts both types. */
  readonly type: TokenType
}

/** What all rules that apply to a request ask of a token together. */
export interface BearerAccess {
  readonly requirements: readonly BearerRequirement[]
  /** The token is spent by being let in. */
  readonly isOneTime: boolean
}

/** Why a token does not open the way. Descriptions are texts of ours and hold nothing of the token. */
export type TokenFault =
  | {
      readonly error: 'invalid_token' | 'invalid_dpop_proof'
      readonly description: string
    }
  | { readonly error: 'insufficient_scope'; readonly scopes: readonly string[] }
  | { readonly error: 'forbidden' }

/** The one constructor of the most frequent fault. */
export function invalidToken(description: string): TokenFault {
  return { error: 'invalid_token', description }
}

const MAX_ONE_TIME_SECONDS = 600

/** What is wrong with a token where these requirements hold; nothing when it meets them all. */
export function faultOf(
  bearer: Bearer,
  { requirements, isOneTime }: BearerAccess,
): TokenFault | undefined {
  if (!requirements.every((each) => isForHere(bearer, each))) {
    return invalidToken('the token is not for this place')
  }
  if (isOneTime && !isShortLived(bearer)) {
    return invalidToken('a token for one use needs jti, iat and an exp of ten minutes at most')
  }
  if (!requirements.every(({ scopes }) => scopes.every((scope) => bearer.scopes.has(scope)))) {
    const scopes = [...new Set(requirements.flatMap((each) => each.scopes))]
    return { error: 'insufficient_scope', scopes }
  }
  return requirements.every((each) => hasClaims(bearer, each)) ? undefined : { error: 'forbidden' }
}

function isForHere({ identity, type, audiences }: Bearer, requirement: BearerRequirement): boolean {
  return (
    requirement.issuers.has(identity.issuer) &&
    (type === 'at+jwt' || requirement.type === 'jwt') &&
    audiences.some((audience) => requirement.audiences.has(audience))
  )
}

function isShortLived({ jti, lifeSeconds }: Bearer): boolean {
  return jti !== undefined && lifeSeconds !== undefined && lifeSeconds <= MAX_ONE_TIME_SECONDS
}

function hasClaims({ claims }: Bearer, requirement: BearerRequirement): boolean {
  return requirement.claims
    .entries()
    .every(([name, wanted]) => textsOf(claimValue(claims, name)).some((text) => wanted.has(text)))
}

/** A claim's value, or the members of its list, as texts; an object is none. */
function textsOf(value: unknown): readonly string[] {
  const members: readonly unknown[] = Array.isArray(value) ? value : [value]
  return members.flatMap((member) =>
    typeof member === 'string' || typeof member === 'number' || typeof member === 'boolean'
      ? [String(member)]
      : [],
  )
}
