import type { JWTPayload } from 'jose'
import * as client from 'openid-client'
import { completeClaims } from '../core/complete-claims.ts'
import type { Claims } from '../core/identity.ts'
import { translate } from './translate.ts'

/** When UserInfo is asked. */
export interface UserInfoOptions {
  readonly userInfo: 'auto' | 'always' | 'never'
  /** Whether headers or rules want more than these claims have. */
  readonly needsMore: (claims: Claims) => boolean
}

/** Completes the claims of an ID token where more are wanted (OpenID Connect Core 1.0 section 5.3). */
export async function withUserInfo(
  claims: JWTPayload,
  accessToken: string,
  configuration: client.Configuration,
  { userInfo, needsMore }: UserInfoOptions,
): Promise<Claims> {
  const isOffered = configuration.serverMetadata().userinfo_endpoint !== undefined
  const isAsked = userInfo === 'always' || (userInfo === 'auto' && isOffered && needsMore(claims))
  if (!isAsked) return claims
  const more = await client
    .fetchUserInfo(configuration, accessToken, claims.sub as string)
    .catch(translate)
  return completeClaims(claims, more)
}
