import type { EpochMs, Renewal } from '../core/session.ts'
import type { IssuedTokens } from '../oidc/sign-in.ts'
import type { Tokens } from './records.ts'

/** Later is too late for somebody whose app needs the token, earlier wears out the provider. */
const DUE_AFTER = 3 / 4

/**
 * What is kept of what the provider gave. What a refresh does not repeat stays as it was; of a sign-in there is an ID token
 * and the generation that it began in.
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

/** A provider may name any number, and one without end would not survive being written down. */
function endOf(seconds: number, nowMs: EpochMs): EpochMs {
  return Math.min(nowMs + seconds * 1000, Number.MAX_SAFE_INTEGER)
}

/** Nothing where there is nothing to refresh with, or no end to refresh before. */
export function renewalOf(tokens: Tokens, nowMs: EpochMs): Renewal | undefined {
  const { refreshToken, accessTokenExpiresAt: endsAt } = tokens
  if (refreshToken === undefined || endsAt === undefined) return undefined
  return { dueAt: nowMs + Math.round((endsAt - nowMs) * DUE_AFTER), endsAt }
}
