import type { JWTPayload } from 'jose'
import { isText } from '../../core/claims.ts'
import { isCompactJws } from '../../core/compact-jws.ts'
import type { EpochMs } from '../../core/epoch-ms.ts'
import { isRecord } from '../../core/json.ts'
import { AuthError, type FailureFacts } from '../../errors.ts'
import { acceptedAlgorithms } from '../discovery/accepted-algorithms.ts'
import { metadataOf } from '../discovery/configurations.ts'
import type { ProviderConnection } from '../discovery/provider.ts'
import { claimFacts, type Expected, factsAbout } from '../failure/claim-facts.ts'
import { isVerificationFailure, keysUnavailable } from '../failure/translate.ts'
import { isExpired } from '../request/provider-errors.ts'
import type { IdTokenOptions } from './id-token.ts'
import { CLOCK_TOLERANCE_SECONDS, hasUsableSubject, isReasonable } from './token-rules.ts'

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

/**
 * Accepted `typ`: `logout+jwt` alone, or by default also `JWT` and none, because the specification only recommends
 * `logout+jwt` (finding C68). `any` also accepts tokens without `exp`, which some providers omit.
 */
export type LogoutTokenType = 'logout+jwt' | 'any' | undefined

export interface LogoutTokenOptions extends IdTokenOptions {
  readonly connection: ProviderConnection
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
    const metadata = metadataOf(await connection.configuration())
    const { issuer, jwks_uri } = metadata
    const algorithms = acceptedAlgorithms(metadata)
    const how = {
      issuer,
      audience: clientId,
      algorithms: [...algorithms],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(now()),
      maxTokenAge: MAX_AGE_SECONDS,
      requiredClaims: type === 'any' ? [] : ['exp'],
    }
    const { payload, protectedHeader } = await keySets(jwks_uri as string)
      .verify(token, how, 'anybody')
      .catch((cause: unknown) => refuse(cause, { token, issuer, clientId, algorithms }))
    requireLogoutType(protectedHeader.typ, type)
    const { iat = 0, jti } = payload
    requireLogoutClaims(payload)
    return {
      issuer,
      jti: requireName(jti, 'jti'),
      ended: endedOf(payload),
      acceptedUntil: (iat + MAX_AGE_SECONDS + 2 * CLOCK_TOLERANCE_SECONDS) * 1000,
    }
  }
}

function refuse(cause: unknown, expected: Expected): never {
  if (!isVerificationFailure(cause)) throw keysUnavailable('provider', cause)
  const facts = claimFacts(cause, expected)
  if (isExpired(cause)) throw faulty('has expired', facts)
  const { claim } = facts
  if (claim === undefined || claim === 'kid' || claim === 'signature') {
    throw faulty('is not signed by the provider', facts)
  }
  throw faulty(`has no ${claim}, or one that is not accepted`, facts)
}

function requireLogoutType(typ: unknown, accepted: LogoutTokenType): void {
  const name = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ
  const isStrict = accepted === 'logout+jwt'
  if (name === 'logout+jwt' || (!isStrict && (name === undefined || name === 'jwt'))) return
  const expected = isStrict ? 'logout+jwt' : 'logout+jwt, JWT or none'
  const facts = factsAbout({ claim: 'typ', value: typ, expected })
  const setting = 'OIDC_LOGOUT_TOKEN_TYPE'
  throw faulty(`has another type; see ${setting}`, { ...facts, setting })
}

/** Tells a logout token from an ID token and an access token of the same keys (threats A83, A90). */
function requireLogoutClaims({ iat = 0, exp = iat, events, ...others }: JWTPayload): void {
  if (!isReasonable(exp - iat)) throw faulty('has an exp too far away', { claim: 'exp' })
  if (!isLogoutEvent(events)) throw faulty('has no logout event', { claim: 'events' })
  if (Object.hasOwn(others, 'nonce')) throw faulty('has a nonce', { claim: 'nonce' })
}

/** Looks at own members only, so that an inherited one such as `__proto__` does not count. */
function isLogoutEvent(events: unknown): boolean {
  return isRecord(events) && Object.hasOwn(events, LOGOUT_EVENT) && isRecord(events[LOGOUT_EVENT])
}

function isName(claim: unknown): claim is string {
  return isText(claim) && claim.length <= MAX_NAME_LENGTH
}

function requireName(value: unknown, claim: string): string {
  if (isName(value)) return value
  throw faulty(`has no usable ${claim}`, factsAbout({ claim, value }))
}

/** Accepts either claim alone, but refuses a token in which one of the two is unusable. */
function endedOf(claims: JWTPayload): EndedAtProvider {
  const { sub, sid } = claims
  const session = sid === undefined ? undefined : requireName(sid, 'sid')
  const subject = sub === undefined ? undefined : requireName(sub, 'sub')
  if (subject !== undefined && !hasUsableSubject(claims)) throw faulty('has no usable sub')
  if (session !== undefined) return { sid: session, ...(subject !== undefined && { subject }) }
  if (subject !== undefined) return { subject }
  throw faulty('names neither a user nor a session', { claim: 'sub' })
}

/** Returns a public error for the provider's administrator, whose text repeats nothing from the token. */
function faulty(what: string, facts: FailureFacts = {}): AuthError {
  return new AuthError('invalid_request', `The logout token ${what}.`, { isPublic: true, facts })
}
