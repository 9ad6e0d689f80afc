import type { JWTPayload } from 'jose'
import * as client from 'openid-client'
import type { Claims } from '../core/claims.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { AuthError, type FailureFacts } from '../errors.ts'
import { metadataOf } from './discovery/configurations.ts'
import type { ProviderConnection } from './discovery/provider.ts'
import { factsAbout, sayClaim } from './failure/claim-facts.ts'
import type { FailedRequest } from './failure/failure-facts.ts'
import { isDefinite, isInvalidGrant } from './failure/final-answers.ts'
import {
  failureOf,
  isVerificationFailure,
  retryAfterMs,
  VerificationError,
} from './failure/translate.ts'
import { decodeClaims } from './request/provider-answer.ts'
import { codeOf, isAboutTime, isUnknownKey } from './request/provider-errors.ts'
import { type IssuedTokens, toIssuedTokens } from './sign-in.ts'
import { verifyIdToken } from './tokens/id-token.ts'
import { type UserInfoOptions, withUserInfo } from './user-info.ts'

/** Tokens of a session before a refresh, with the issuer and subject that they belong to. */
export interface Refreshable {
  readonly refreshToken: string
  readonly idToken: string
  readonly issuer: string
  readonly subject: string
}

/** Answer of the provider to a refresh, by its consequence for the session. */
export type RefreshAnswer =
  /** New tokens; `claims` is absent where they could not be verified or completed this time. */
  | {
      readonly kind: 'refreshed'
      readonly issued: IssuedTokens
      readonly claims?: Claims
      /** True where the claims are those of the new ID token alone, although UserInfo was asked. */
      readonly lacksUserInfo?: boolean
    }
  /** The refresh token is not valid any more. */
  | ({ readonly kind: 'refused' } & Partial<AnswerFacts>)
  /** The tokens are for another user or fail verification (threat A86). */
  | ({ readonly kind: 'rejected' } & AnswerFacts)
  /**
   * `declined`: definitely refused otherwise, or answered with what can never be used, so that the session ends with its
   * grace (finding C20). `failed`: what may pass by itself.
   */
  | ({ readonly kind: 'declined' | 'failed'; readonly retryAfterMs?: number } & AnswerFacts)

/** Cause of an answer that is no success, for the log. */
export interface AnswerFacts {
  readonly reason: string
  readonly facts?: FailureFacts
}

/** Sends one refresh request. Never throws: the outcome says what a failure means for the session. */
export type RefreshTokens = (refreshable: Refreshable) => Promise<RefreshAnswer>

export interface RefreshOptions extends UserInfoOptions {
  readonly connection: ProviderConnection
  readonly now: () => EpochMs
}

/** Implements the refresh token grant (RFC 6749 section 6, OpenID Connect Core 1.0 section 12). */
export function createRefresh(options: RefreshOptions): RefreshTokens {
  const { connection, now } = options
  return async (refreshable) => {
    let asked: FailedRequest = {}
    try {
      const configuration = await connection.configuration()
      asked = { endpoint: 'token_endpoint', metadata: metadataOf(configuration) }
      const refreshing = await connection.refreshConfiguration()
      const tokens = await client.refreshTokenGrant(refreshing, refreshable.refreshToken)
      return await readIssued(toIssuedTokens(tokens), refreshable, configuration, options)
    } catch (cause) {
      return unsuccessful(cause, asked, now())
    }
  }
}

/** Tells by the answer whether the refresh token has ended, can never be used, or may be tried again. */
async function unsuccessful(
  cause: unknown,
  asked: FailedRequest,
  nowMs: EpochMs,
): Promise<RefreshAnswer> {
  const { answer, reason, facts } = await failureOf(cause, asked)
  if (isInvalidGrant(answer)) return { kind: 'refused', reason, facts }
  // openid-client verifies the ID token before it returns the tokens.
  if (isUnacceptable(cause)) return rejected(cause, asked)
  const kind = isDefinite(cause, answer) ? 'declined' : 'failed'
  const askedMs = retryAfterMs(cause, nowMs)
  return { kind, reason, facts, ...(askedMs !== undefined && { retryAfterMs: askedMs }) }
}

/**
 * Keeps the new tokens when claims cannot be had now, because the old tokens may have ended; the next refresh retries.
 */
async function readIssued(
  issued: IssuedTokens,
  refreshable: Refreshable,
  configuration: client.Configuration,
  options: RefreshOptions,
): Promise<RefreshAnswer> {
  let claims: JWTPayload
  try {
    claims = await claimsOf(issued, refreshable, configuration, options)
  } catch (cause) {
    const isForNow = isUnknownKey(causeOf(cause)) || isAboutTime(causeOf(cause))
    if (isVerificationFailure(cause) && !isForNow) return rejected(cause)
    // Drops the unverified ID token only: its key may be published late, or the local clock be wrong.
    const { idToken: _, ...others } = issued
    return { kind: 'refreshed', issued: others }
  }
  try {
    const userInfo = userInfoFor(issued, configuration, options)
    const { claims: all, ignored } = await withUserInfo(
      claims,
      issued.accessToken,
      configuration,
      userInfo,
    )
    return { kind: 'refreshed', issued, claims: all, lacksUserInfo: ignored.length > 0 }
  } catch (cause) {
    if (isUnacceptable(cause)) return rejected(cause)
    return issued.idToken === undefined
      ? { kind: 'refreshed', issued }
      : { kind: 'refreshed', issued, claims, lacksUserInfo: true }
  }
}

/** Returns the claims of the new ID token, or of the previous one where none came with the refresh. */
async function claimsOf(
  { idToken }: IssuedTokens,
  refreshable: Refreshable,
  configuration: client.Configuration,
  options: RefreshOptions,
): Promise<JWTPayload> {
  const before = decodeClaims(refreshable.idToken)
  if (idToken === undefined) return before
  // Precedes verification, because a foreign token is rejected even while its signature cannot be verified.
  requireSame(decodeClaims(idToken), refreshable, before['nonce'])
  const metadata = metadataOf(configuration)
  return verifyIdToken({ idToken, metadata, isRefreshed: true }, options)
}

/** Asks UserInfo where no new ID token came, because the claims of the sign-in may be out of date. */
function userInfoFor(
  issued: IssuedTokens,
  configuration: client.Configuration,
  options: RefreshOptions,
): RefreshOptions {
  const isOffered = metadataOf(configuration).userinfo_endpoint !== undefined
  const asksAlways = issued.idToken === undefined && options.userInfo === 'auto' && isOffered
  return { ...options, userInfo: asksAlways ? 'always' : options.userInfo }
}

/** Names the claim and what was expected; the value may be anything, and the session has ended (threat A86). */
async function rejected(cause: unknown, asked?: FailedRequest): Promise<RefreshAnswer> {
  const { reason, facts } = await failureOf(cause, asked)
  const said = withoutReceived(facts)
  return { kind: 'rejected', reason: sayClaim(said) ?? reason, facts: said }
}

/** Accepts an absent nonce; one that is there must be the sign-in's (OpenID Connect Core 1.0 section 12.2). */
function requireSame(claims: JWTPayload, { issuer, subject }: Refreshable, known: unknown): void {
  const { iss, sub, nonce = known } = claims
  if (iss !== issuer) throw foreign(factsAbout({ claim: 'iss', value: iss, expected: issuer }))
  if (sub !== subject) {
    const facts = factsAbout({ claim: 'sub', value: sub })
    throw foreign({ ...facts, expected: 'the user of the session' })
  }
  if (known !== undefined && nonce !== known) {
    throw foreign(factsAbout({ claim: 'nonce', value: nonce }))
  }
}

function foreign(facts: FailureFacts): VerificationError {
  const said = sayClaim(withoutReceived(facts))
  return new VerificationError(`the refreshed ID token's ${said}`, { facts })
}

function withoutReceived(facts: FailureFacts): FailureFacts {
  const { received: _, ...others } = facts
  return others
}

/** Returns whether tokens or claims were issued that a sign-in would refuse, and not merely in an unsupported form. */
function isUnacceptable(cause: unknown): boolean {
  return isVerificationFailure(cause) && codeOf(cause) !== 'OAUTH_UNSUPPORTED_OPERATION'
}

/** Returns the error that an `AuthError` of ours wraps. */
function causeOf(error: unknown): unknown {
  return error instanceof AuthError ? error.cause : undefined
}
