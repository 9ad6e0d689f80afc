import type { JWTPayload, JWTVerifyGetKey } from 'jose'
import { isAbsent } from '../core/claims.ts'
import { CLOCK_TOLERANCE_SECONDS } from './provider.ts'
import { ALGORITHMS, hasUsableSubject, isReasonable } from './token-rules.ts'
import { translate, VerificationError } from './translate.ts'
import { verifyJwt } from './verify-jwt.ts'

/** Issuer and audience that an ID token must have. */
export interface ExpectedParties {
  readonly issuer: string
  readonly clientId: string
  /** Accepts a token without `nonce`, because a refreshed one has none (OpenID Connect Core 1.0 section 12.2). */
  readonly isRefreshed?: boolean
}

/**
 * Verifies the signature, which openid-client leaves out for tokens received over TLS, and the claims that
 * openid-client does not check: `typ`, a reasonable `exp`, a recent `iat`, a `sub` that is text, `azp` beside a single
 * `aud` (OpenID Connect Core 1.0 section 3.1.3.7; threats A80-A84).
 */
export async function verifyIdToken(
  idToken: string,
  keySet: JWTVerifyGetKey,
  { issuer, clientId, isRefreshed = false }: ExpectedParties,
): Promise<JWTPayload> {
  const { payload, protectedHeader } = await verifyJwt(idToken, keySet, {
    issuer,
    audience: clientId,
    algorithms: [...ALGORITHMS],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    maxTokenAge: 600,
    requiredClaims: ['sub', 'exp', 'iat', ...(isRefreshed ? [] : ['nonce'])],
  }).catch(translate)
  const fault = faultOf(payload, protectedHeader.typ, clientId)
  if (fault !== undefined) throw new VerificationError(`the ID token ${fault}`)
  return payload
}

function faultOf(claims: JWTPayload, typ: unknown, clientId: string): string | undefined {
  const { exp = 0, iat = 0, azp } = claims
  if (!isIdTokenType(typ)) return 'has another type'
  if (!isReasonable(exp - iat)) return 'has an exp too far away'
  if (!hasUsableSubject(claims)) return 'has no usable sub'
  return azp === undefined || azp === clientId ? undefined : 'was issued to another client'
}

/** Accepts an absent `typ`, but not the one of an access or logout token (RFC 8725 section 3.11). */
function isIdTokenType(typ: unknown): boolean {
  return isAbsent(typ) || (typeof typ === 'string' && typ.toUpperCase() === 'JWT')
}
