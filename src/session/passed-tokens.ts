import type { EpochMs } from '../core/epoch-ms.ts'
import type { Session, TokenKind } from '../core/session.ts'
import { decodeClaims } from '../oidc/request/provider-answer.ts'
import type { Tokens } from './records.ts'

/** Returns the session with the tokens that apps are given. */
export function withPassedTokens(
  session: Session,
  { accessToken, accessTokenExpiresAt, idToken }: Tokens,
  passed: ReadonlySet<TokenKind>,
): Session {
  const expiry = accessTokenExpiresAt === undefined ? {} : { expiresAt: accessTokenExpiresAt }
  return {
    ...session,
    ...(passed.has('access-token') && { accessToken: { value: accessToken, ...expiry } }),
    ...(passed.has('id-token') && {
      idToken: { value: idToken, expiresAt: endOfIdToken(idToken) },
    }),
  }
}

/** Returns when an ID token expires (`exp`), which was verified at sign-in; 0 for a text that is no such token. */
export function endOfIdToken(idToken: string): EpochMs {
  try {
    const { exp } = decodeClaims(idToken)
    return typeof exp === 'number' ? exp * 1000 : 0
  } catch {
    return 0
  }
}
