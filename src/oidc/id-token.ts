import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { ServerMetadata } from 'openid-client'
import { CLOCK_TOLERANCE_SECONDS } from './provider.ts'
import { ALGORITHMS, hasUsableSubject, isReasonable } from './token-rules.ts'
import { translate, VerificationError } from './translate.ts'

/** Issuer and audience that an ID token must have. */
export interface ExpectedParties {
  readonly issuer: string
  readonly clientId: string
  /** Accepts a token without `nonce`, because a refreshed one has none (OpenID Connect Core 1.0 section 12.2). */
  readonly isRefreshed?: boolean
  /** Metadata of the provider, for the addresses in log lines. */
  readonly metadata?: ServerMetadata
}

/**
 * Verifies the signature, which openid-client leaves out for tokens received over TLS, and the claims that
 * openid-client does not check: `typ`, a reasonable `exp`, a recent `iat`, a `sub` that is text, `azp` beside a single
 * `aud` (OpenID Connect Core 1.0 section 3.1.3.7; threats A80-A84).
 */
export async function verifyIdToken(
  idToken: string,
  keySet: JWTVerifyGetKey,
  { issuer, clientId, isRefreshed = false, metadata }: ExpectedParties,
): Promise<JWTPayload> {
  const { payload, protectedHeader } = await jwtVerify(idToken, keySet, {
    issuer,
    audience: clientId,
    algorithms: [...ALGORITHMS],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    maxTokenAge: 600,
    requiredClaims: ['sub', 'exp', 'iat', ...(isRefreshed ? [] : ['nonce'])],
  }).catch((cause: unknown) => translate(cause, metadata && { metadata }))
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
  return typ === undefined || (typeof typ === 'string' && typ.toUpperCase() === 'JWT')
}
