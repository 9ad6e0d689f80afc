import { type JWTPayload, jwtVerify } from 'jose'
import { isCompactJws } from '../core/compact-jws.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { AuthError, invalidRequest } from '../errors.ts'
import type { KeySets } from './key-set.ts'
import { CLOCK_TOLERANCE_SECONDS, type ProviderConnection } from './provider.ts'
import { failedClaimOf, isExpired } from './provider-errors.ts'
import { ALGORITHMS, hasUsableSubject, isReasonable, isText } from './token-rules.ts'
import { isVerificationFailure, keysUnavailable } from './translate.ts'

/** Scope of a sign-out at the provider: one of its sessions (`sid`), or without `sid` all sessions of the user. */
export type EndedAtProvider =
  | { readonly subject: string; readonly sid?: undefined }
  | { readonly subject?: string; readonly sid: string }

/** A verified logout token. */
export interface LogoutToken {
  readonly issuer: string
  readonly jti: string
  readonly ended: EndedAtProvider
  /** Time after which every replica refuses it for its age, whatever the difference of clocks within the tolerance. */
  readonly acceptedUntil: EpochMs
}

/**
 * Verifies a logout token. Throws `AuthError`: `invalid_request` with the reason for a token that is refused,
 * `provider_unavailable` when the provider's keys cannot be fetched.
 */
export type VerifyLogoutToken = (token: string) => Promise<LogoutToken>

/** Accepted `typ`; `any` also accepts tokens without `typ` or `exp`, because some providers omit them. */
export type LogoutTokenType = 'logout+jwt' | 'any'

export interface LogoutTokenOptions {
  readonly connection: ProviderConnection
  readonly keySets: KeySets
  readonly clientId: string
  readonly type: LogoutTokenType
  readonly now: () => EpochMs
}

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const MAX_AGE_SECONDS = 600
const MAX_NAME_LENGTH = 1024

/** Implements OpenID Connect Back-Channel Logout 1.0 section 2.6 except the check for replay (threats A83, A90). */
export function createLogoutTokenVerifier(options: LogoutTokenOptions): VerifyLogoutToken {
  const { connection, keySets, clientId, type, now } = options
  return async (token) => {
    if (!isCompactJws(token)) throw faulty('is not a signed JWT')
    const { issuer, jwks_uri } = (await connection.configuration()).serverMetadata()
    const { payload, protectedHeader } = await jwtVerify(token, keySets(jwks_uri as string), {
      issuer,
      audience: clientId,
      algorithms: [...ALGORITHMS],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(now()),
      maxTokenAge: MAX_AGE_SECONDS,
      requiredClaims: type === 'any' ? [] : ['exp'],
    }).catch(refuse)
    if (!isLogoutType(protectedHeader.typ, type)) {
      throw faulty('has another type; see OIDC_LOGOUT_TOKEN_TYPE')
    }
    const { iat = 0, exp = iat, jti } = payload
    if (!isReasonable(exp - iat)) throw faulty('has an exp too far away')
    if (!isLogoutEvent(payload['events'])) throw faulty('has no logout event')
    if (Object.hasOwn(payload, 'nonce')) throw faulty('has a nonce')
    if (!isName(jti)) throw faulty('has no usable jti')
    return {
      issuer,
      jti,
      ended: endedOf(payload),
      acceptedUntil: (iat + MAX_AGE_SECONDS + 2 * CLOCK_TOLERANCE_SECONDS) * 1000,
    }
  }
}

function refuse(cause: unknown): never {
  if (!isVerificationFailure(cause)) throw keysUnavailable('provider', cause)
  if (isExpired(cause)) throw faulty('has expired')
  const claim = failedClaimOf(cause)
  if (claim !== undefined) throw faulty(`has no ${claim}, or one that is not accepted`)
  throw faulty('is not signed by the provider')
}

function isLogoutType(typ: unknown, accepted: LogoutTokenType): boolean {
  const name = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ
  return name === 'logout+jwt' || (accepted === 'any' && (name === undefined || name === 'jwt'))
}

/** Looks at own members only, so that an inherited one such as `__proto__` does not count. */
function isLogoutEvent(events: unknown): boolean {
  return isObject(events) && Object.hasOwn(events, LOGOUT_EVENT) && isObject(events[LOGOUT_EVENT])
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isName(claim: unknown): claim is string {
  return isText(claim) && claim.length <= MAX_NAME_LENGTH
}

/** Accepts either claim alone, but refuses a token in which one of the two is unusable. */
function endedOf(claims: JWTPayload): EndedAtProvider {
  const { sub, sid } = claims
  if (sid !== undefined && !isName(sid)) throw faulty('has no usable sid')
  if (sub !== undefined && !(isName(sub) && hasUsableSubject(claims))) {
    throw faulty('has no usable sub')
  }
  if (sid !== undefined) return sub === undefined ? { sid } : { subject: sub, sid }
  if (sub !== undefined) return { subject: sub }
  throw faulty('names neither a user nor a session')
}

/** Returns a public error for the provider's administrator, whose text repeats nothing from the token. */
function faulty(what: string): AuthError {
  return invalidRequest(`The logout token ${what}.`)
}
