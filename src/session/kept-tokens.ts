import type { EpochMs } from '../core/epoch-ms.ts'
import type { Renewal } from '../core/session.ts'
import type { IssuedTokens } from '../oidc/sign-in.ts'
import type { Tokens } from './records.ts'

/** Fraction of the access token's life after which a refresh is due. */
const DUE_AFTER = 3 / 4

/**
 * Returns the tokens to store. A refresh that repeats neither ID token nor refresh token keeps those of `before`; for a
 * sign-in, `before` holds its ID token and generation.
 */
export function keptTokens(
  issued: IssuedTokens,
  nowMs: EpochMs,
  before: Pick<Tokens, 'idToken' | 'refreshToken' | 'generation'>,
): Tokens {
  const { accessToken, accessTokenExpiresInSeconds: seconds } = issued
  const { idToken = before.idToken, refreshToken = before.refreshToken } = issued
  const { generation } = before
  return {
    idToken,
    accessToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(seconds !== undefined && { accessTokenExpiresAt: endOf(seconds, nowMs) }),
    ...(generation !== undefined && { generation }),
  }
}

/** Bounds the expiry, because JSON cannot hold the infinity that a huge `expires_in` gives. */
function endOf(seconds: number, nowMs: EpochMs): EpochMs {
  return Math.min(nowMs + seconds * 1000, Number.MAX_SAFE_INTEGER)
}

/**
 * Returns `undefined` without a refresh token or without an expiry. `idTokenEndsAt` is the end of a new ID token that apps
 * are given; one that has ended does not count, because another refresh would bring no better one.
 */
export function renewalOf(
  { refreshToken, accessTokenExpiresAt }: Tokens,
  nowMs: EpochMs,
  idTokenEndsAt: EpochMs = 0,
): Renewal | undefined {
  const ends = [accessTokenExpiresAt, idTokenEndsAt > nowMs ? idTokenEndsAt : undefined]
  const endsAt = Math.min(...ends.filter((each) => each !== undefined))
  if (refreshToken === undefined || endsAt === Number.POSITIVE_INFINITY) return undefined
  return { dueAt: nowMs + Math.round((endsAt - nowMs) * DUE_AFTER), endsAt }
}
