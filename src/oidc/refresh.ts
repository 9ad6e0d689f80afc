import { setTimeout as pause } from 'node:timers/promises'
import { decodeJwt, errors, type JWTPayload } from 'jose'
import * as client from 'openid-client'
import type { Claims } from '../core/identity.ts'
import { AuthError } from '../errors.ts'
import { verifyIdToken } from './id-token.ts'
import type { KeySets } from './key-set.ts'
import type { ProviderConnection } from './provider.ts'
import type { IssuedTokens } from './sign-in.ts'
import { codeOf, meaningOf, reasonOf, retryAfterMs } from './translate.ts'
import { type UserInfoOptions, withUserInfo } from './user-info.ts'

/** What is known before a refresh: the tokens, and whose they are. */
export interface Refreshable {
  readonly refreshToken: string
  readonly idToken: string
  readonly issuer: string
  readonly subject: string
}

export type RefreshOutcome =
  /** Without claims the provider has issued tokens, and could not be asked whose they are now. */
  | { readonly kind: 'refreshed'; readonly issued: IssuedTokens; readonly claims?: Claims }
  /** The refresh token is good for nothing any more. */
  | { readonly kind: 'refused' }
  /** What came is about somebody else, or is not the provider's (threat A86). */
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly retryAfterMs?: number }

/** Asks the token endpoint once. Never throws: what a failure means for the session is part of the answer. */
export type RefreshTokens = (refreshable: Refreshable) => Promise<RefreshOutcome>

export interface RefreshOptions extends UserInfoOptions {
  readonly connection: ProviderConnection
  readonly keySets: KeySets
  readonly clientId: string
  readonly now: () => number
}

/** A little longer than the pause between two fetches of the keys. */
const NEWER_KEYS_MS = 1100

/** Refresh token grant (RFC 6749 section 6, OpenID Connect Core 1.0 section 12). */
export function createRefresh(options: RefreshOptions): RefreshTokens {
  const { connection, keySets, clientId, now } = options

  async function request(
    { refreshToken }: Refreshable,
    configuration: client.Configuration,
  ): Promise<IssuedTokens> {
    const tokens = await client.refreshTokenGrant(configuration, refreshToken)
    const { id_token, access_token, refresh_token } = tokens
    const expiresIn = tokens.expiresIn()
    return {
      accessToken: access_token,
      ...(id_token !== undefined && { idToken: id_token }),
      ...(refresh_token !== undefined && { refreshToken: refresh_token }),
      ...(expiresIn !== undefined && { accessTokenExpiresInSeconds: expiresIn }),
    }
  }

  /** What the ID token says now, or what the first one said where none came with the refresh. */
  async function claimsOf(
    issued: IssuedTokens,
    refreshable: Refreshable,
    configuration: client.Configuration,
  ): Promise<JWTPayload> {
    const before = decodeJwt(refreshable.idToken)
    const { idToken } = issued
    if (idToken === undefined) return before
    // First, since it is known also while the signature cannot be verified.
    requireSame(decodeJwt(idToken), refreshable, before['nonce'])
    const { issuer, jwks_uri } = configuration.serverMetadata()
    const parties = { issuer, clientId, isRefreshed: true }
    const verify = () => verifyIdToken(idToken, keySets(jwks_uri as string), parties)
    return verify().catch(async (cause: unknown) => {
      if (!isOfUnknownKey(cause)) throw cause
      // It may be newer than the keys, which are not fetched twice in a second (fault F37).
      await pause(NEWER_KEYS_MS)
      return verify()
    })
  }

  /** An ID token that is as old as the sign-in says nothing new: only UserInfo can. */
  function userInfoFor(issued: IssuedTokens, configuration: client.Configuration): UserInfoOptions {
    const isOffered = configuration.serverMetadata().userinfo_endpoint !== undefined
    const asksAlways = issued.idToken === undefined && options.userInfo === 'auto' && isOffered
    return { ...options, userInfo: asksAlways ? 'always' : options.userInfo }
  }

  /** The tokens have been issued, and those of before may have ended: what cannot be had now is had the next time. */
  async function read(
    issued: IssuedTokens,
    refreshable: Refreshable,
    configuration: client.Configuration,
  ): Promise<RefreshOutcome> {
    let claims: JWTPayload
    try {
      claims = await claimsOf(issued, refreshable, configuration)
    } catch (cause) {
      const isForNow = isOfUnknownKey(cause) || isAboutTime(cause)
      if (meaningOf(cause) === 'sign_in_failed' && !isForNow) return rejected(cause)
      // Its key may be published late, or our clock be wrong. Not verified, it is not kept.
      const { idToken: _, ...others } = issued
      return { kind: 'refreshed', issued: others }
    }
    try {
      const userInfo = userInfoFor(issued, configuration)
      const all = await withUserInfo(claims, issued.accessToken, configuration, userInfo)
      return { kind: 'refreshed', issued, claims: all }
    } catch (cause) {
      return isUnacceptable(cause) ? rejected(cause) : { kind: 'refreshed', issued }
    }
  }

  return async (refreshable) => {
    try {
      const issued = await request(refreshable, await connection.refreshConfiguration())
      return await read(issued, refreshable, await connection.configuration())
    } catch (cause) {
      if (cause instanceof client.ResponseBodyError && cause.error === 'invalid_grant') {
        return { kind: 'refused' }
      }
      // openid-client looks at the ID token before it gives the tokens out.
      if (isUnacceptable(cause)) return rejected(cause)
      const pauseMs = retryAfterMs(cause, now())
      const pause = pauseMs === undefined ? {} : { retryAfterMs: pauseMs }
      return { kind: 'failed', reason: reasonOf(cause), ...pause }
    }
  }
}

function rejected(cause: unknown): RefreshOutcome {
  return { kind: 'rejected', reason: reasonOf(cause) }
}

/** A provider need not repeat the nonce; where it does, it is that of the sign-in (OpenID Connect Core 1.0 section 12.2). */
function requireSame(claims: JWTPayload, { issuer, subject }: Refreshable, known: unknown): void {
  if (claims.iss !== issuer || claims.sub !== subject) {
    throw new AuthError('sign_in_failed', 'the refreshed ID token is about somebody else')
  }
  const { nonce = known } = claims
  if (known !== undefined && nonce !== known) {
    throw new AuthError('sign_in_failed', 'the refreshed ID token is of another sign-in')
  }
}

/** Whether nothing but the clock speaks against it (fault F28). */
function isAboutTime(cause: unknown): boolean {
  const fault = cause instanceof AuthError ? cause.cause : undefined
  return (
    fault instanceof errors.JWTExpired ||
    (fault instanceof errors.JWTClaimValidationFailed &&
      fault.reason === 'check_failed' &&
      TIMES.has(fault.claim))
  )
}

const TIMES = new Set(['exp', 'iat', 'nbf'])

function isOfUnknownKey(cause: unknown): boolean {
  return cause instanceof AuthError && codeOf(cause.cause) === 'ERR_JWKS_NO_MATCHING_KEY'
}

/** Whether tokens or claims came that no sign-in would accept; a request that was refused has brought none. */
function isUnacceptable(cause: unknown): boolean {
  const isOfRequest = cause instanceof client.ResponseBodyError
  const isUnknownForm = codeOf(cause) === 'OAUTH_UNSUPPORTED_OPERATION'
  return meaningOf(cause) === 'sign_in_failed' && !isOfRequest && !isUnknownForm
}
