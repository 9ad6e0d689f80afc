import type { JWTPayload } from 'jose'
import type { Bearer, TokenType } from '../core/bearer.ts'
import { isText } from '../core/claims.ts'
import { type IdentityOptions, toIdentity } from '../core/read-identity.ts'
import { CLOCK_TOLERANCE_SECONDS } from '../oidc/tokens/token-rules.ts'

/** Reads the claims of a verified token. */
export function toBearer(claims: JWTPayload, type: TokenType, identity: IdentityOptions): Bearer {
  const { iat, jti, exp = 0 } = claims
  const keyThumbprint = thumbprintOf(claims['cnf'])
  return {
    identity: toIdentity(claims, identity),
    type,
    audiences: listOf(claims.aud),
    scopes: new Set(scopesOf(claims)),
    claims,
    acceptedUntil: (exp + CLOCK_TOLERANCE_SECONDS) * 1000,
    ...(iat !== undefined && { lifeSeconds: exp - iat }),
    ...(isText(jti) && { jti }),
    ...(keyThumbprint !== undefined && { keyThumbprint }),
  }
}

/** Returns the thumbprint of the key that a token is bound to (RFC 9449 section 6.1). */
export function thumbprintOf(cnf: unknown): string | undefined {
  const jkt = typeof cnf === 'object' && cnf !== null && 'jkt' in cnf ? cnf.jkt : undefined
  return isText(jkt) ? jkt : undefined
}

/** Returns the texts of a claim that is one text or a list of them, as `aud` is (RFC 7519 section 4.1.3). */
export function listOf(claim: unknown): readonly string[] {
  const members: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  return members.filter((member) => typeof member === 'string')
}

/** Reads `scope` (RFC 9068, RFC 8693), or `scp`, which some providers send instead as text or list. */
function scopesOf({ scope, scp }: JWTPayload): readonly string[] {
  const given = typeof scope === 'string' ? scope : scp
  return listOf(given).flatMap((each) => each.split(' '))
}
