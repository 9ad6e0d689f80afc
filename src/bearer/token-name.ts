import { decodeJwt } from 'jose'
import { isText } from '../oidc/token-rules.ts'

/** By what a token is told from all others, and how long it may be used. */
export interface TokenName {
  readonly issuer: string
  readonly jti: string
  readonly expiresAtSeconds?: number
}

/** What a token says of itself; nothing of it is verified. Nothing where it has no name. */
export function nameOfToken(token: string): TokenName | undefined {
  try {
    const { iss, jti, exp } = decodeJwt(token)
    if (!isText(iss) || !isText(jti)) return undefined
    return { issuer: iss, jti, ...(typeof exp === 'number' && { expiresAtSeconds: exp }) }
  } catch {
    return undefined
  }
}
