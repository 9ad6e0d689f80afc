import type { JWTPayload } from 'jose'
import * as client from 'openid-client'
import { completeClaims } from '../core/complete-claims.ts'
import type { Claims } from '../core/identity.ts'
import { translate } from './translate.ts'

/** Conditions for a UserInfo request. */
export interface UserInfoOptions {
  readonly userInfo: 'auto' | 'always' | 'never'
  /** Returns whether headers or rules need claims that are missing here. */
  readonly needsMore: (claims: Claims) => boolean
}

/** Completes the claims of an ID token from UserInfo where the options say so (OpenID Connect Core 1.0 section 5.3). */
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
    .catch((cause: unknown) =>
      translate(cause, {
        endpoint: 'userinfo_endpoint',
        metadata: configuration.serverMetadata(),
      }),
    )
  return completeClaims(claims, more)
}
