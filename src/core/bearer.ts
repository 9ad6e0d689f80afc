import { type Claims, claimValue } from './claims.ts'
import type { EpochMs } from './epoch-ms.ts'
import type { Principal } from './session.ts'

/** Type of a token: `at+jwt` for an access token by RFC 9068, `jwt` for an untyped one. */
export type TokenType = 'at+jwt' | 'jwt'

/** Verified token, reduced to the fields that rules check. */
export interface Bearer extends Principal {
  readonly type: TokenType
  readonly audiences: readonly string[]
  readonly scopes: ReadonlySet<string>
  readonly claims: Claims
  readonly jti?: string
  /** Seconds from `iat` to `exp`; absent without an `iat`. */
  readonly lifeSeconds?: number
  /** End of validity, clock tolerance included. */
  readonly acceptedUntil: EpochMs
  /** Thumbprint of the key that the token is bound to (RFC 9449 section 6.1). */
  readonly keyThumbprint?: string
}

/** Conditions of one rule on a token. */
export interface BearerRequirement {
  readonly issuers: ReadonlySet<string>
  readonly audiences: ReadonlySet<string>
  /** Required scopes, all of them. */
  readonly scopes: readonly string[]
  /** Accepted values of each required claim. */
  readonly claims: ReadonlyMap<string, ReadonlySet<string>>
  /** Accepted type; `jwt` accepts both. */
  readonly type: TokenType
}

/** Conditions on a token of all rules that apply to a request. */
export interface BearerAccess {
  readonly requirements: readonly BearerRequirement[]
  /** True where a token is accepted once only. */
  readonly isOneTime: boolean
}

/** Reason to refuse a token; its description repeats nothing from the token. */
export type TokenFault =
  | {
      readonly error: 'invalid_token' | 'invalid_dpop_proof'
      readonly description: string
    }
  | { readonly error: 'insufficient_scope'; readonly scopes: readonly string[] }
  | { readonly error: 'forbidden' }

/** Returns the fault `invalid_token` (RFC 6750 section 3.1) with a description. */
export function invalidToken(description: string): TokenFault {
  return { error: 'invalid_token', description }
}

/** Returns whether a fault is that of a valid token, whose owner may not do this. */
export function isOfValidToken({ error }: TokenFault): boolean {
  return error === 'forbidden' || error === 'insufficient_scope'
}

const MAX_ONE_TIME_SECONDS = 600

/** Returns why a token fails these conditions; `undefined` when it meets all of them. */
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
  if (!requirements.every((each) => hasScopes(bearer, each))) {
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

function hasScopes({ scopes }: Bearer, requirement: BearerRequirement): boolean {
  return requirement.scopes.every((scope) => scopes.has(scope))
}

function hasClaims({ claims }: Bearer, requirement: BearerRequirement): boolean {
  for (const [name, wanted] of requirement.claims) {
    if (!textsOf(claimValue(claims, name)).some((text) => wanted.has(text))) return false
  }
  return true
}

/** Returns a claim's value, or the members of a list, as texts; an object has none. */
function textsOf(value: unknown): readonly string[] {
  const members: readonly unknown[] = Array.isArray(value) ? value : [value]
  return members.flatMap((member) =>
    typeof member === 'string' || typeof member === 'number' || typeof member === 'boolean'
      ? [String(member)]
      : [],
  )
}
