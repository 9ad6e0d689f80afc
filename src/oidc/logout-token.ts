import { errors, type JWTPayload, jwtVerify } from 'jose'
import { isCompactJws } from '../core/compact-jws.ts'
import type { EpochMs } from '../core/session.ts'
import { AuthError, invalidRequest } from '../errors.ts'
import type { KeySets } from './key-set.ts'
import { CLOCK_TOLERANCE_SECONDS, type ProviderConnection } from './provider.ts'
import { ALGORITHMS, hasUsableSubject, isReasonable, isText } from './token-rules.ts'
import { meaningOf } from './translate.ts'

/** What has ended at the provider: one of its sessions (`sid`), or without that all those of a user. */
export type EndedAtProvider =
  | { readonly subject: string; readonly sid?: undefined }
  | { readonly subject?: string; readonly sid: string }

/** A verified logout token. */
export interface LogoutToken {
  readonly issuer: string
  readonly jti: string
  readonly ended: EndedAtProvider
  /** From then on it is refused for its age everywhere, however clocks differ. */
  readonly acceptedUntil: EpochMs
}

/**
 * Throws `AuthError`: `invalid_request` with the reason for a token that is refused, `provider_unavailable` when the
 * provider's keys cannot be had.
 */
export type VerifyLogoutToken = (token: string) => Promise<LogoutToken>

/** `any`: also without a type of its own and without an end, as some providers make them. */
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

/** All rules of OpenID Connect Back-Channel Logout 1.0 section 2.6 but that of its one use (threats A83, A90). */
export function createLogoutTokenVerifier(options: LogoutTokenOptions): VerifyLogoutToken {
  const { connection, keySets, clientId, type, now } = options
  return async (token) => {
    if (!isCompactJws(token)) throw faulty('is no signed JWT')
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
      throw faulty('is of another type; see OIDC_LOGOUT_TOKEN_TYPE')
    }
    const { iat = 0, exp = iat, jti } = payload
    if (!isReasonable(exp - iat)) throw faulty('lives too long')
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
  if (meaningOf(cause) !== 'sign_in_failed') {
    throw new AuthError('provider_unavailable', 'the keys of the provider could not be had', {
      cause,
    })
  }
  if (cause instanceof errors.JWTExpired) throw faulty('has expired')
  if (cause instanceof errors.JWTClaimValidationFailed) {
    throw faulty(`has no ${cause.claim}, or one that is not accepted`)
  }
  throw faulty('is not signed by the provider')
}

function isLogoutType(typ: unknown, accepted: LogoutTokenType): boolean {
  const name = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ
  return name === 'logout+jwt' || (accepted === 'any' && (name === undefined || name === 'jwt'))
}

/** Of an object, so that no name such as `__proto__` is taken for a member. */
function isLogoutEvent(events: unknown): boolean {
  return isObject(events) && Object.hasOwn(events, LOGOUT_EVENT) && isObject(events[LOGOUT_EVENT])
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isName(claim: unknown): claim is string {
  return isText(claim) && claim.length <= MAX_NAME_LENGTH
}

/** Either may be absent, but what is there must be usable: none is guessed around. */
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

/** A text of ours for whoever set up the provider; it repeats nothing of what the token says. */
function faulty(what: string): AuthError {
  return invalidRequest(`The logout token ${what}.`)
}
