import { decodeJwt } from 'jose'
import { isText } from '../core/claims.ts'

/** Unique name of a token, and the end of its use. */
export interface TokenName {
  readonly issuer: string
  readonly jti: string
  readonly expiresAtSeconds?: number
}

/** Reads the name of a token without verifying anything; `undefined` where `iss` or `jti` is missing. */
export function nameOfToken(token: string): TokenName | undefined {
  try {
    const { iss, jti, exp } = decodeJwt(token)
    if (!isText(iss) || !isText(jti)) return undefined
    return { issuer: iss, jti, ...(typeof exp === 'number' && { expiresAtSeconds: exp }) }
  } catch {
    return undefined
  }
}
