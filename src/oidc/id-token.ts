import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { AuthError } from '../errors.ts'
import { CLOCK_TOLERANCE_SECONDS } from './provider.ts'
import { ALGORITHMS, hasUsableSubject, isReasonable } from './token-rules.ts'
import { translate } from './translate.ts'

/** Whom the token must come from and be for. */
export interface ExpectedParties {
  readonly issuer: string
  readonly clientId: string
  /** One that came with a refresh has no nonce (OpenID Connect Core 1.0 section 12.2). */
  readonly isRefreshed?: boolean
}

/**
 * The signature is verified although the token came over TLS (openid-client leaves that out), and what openid-client
 * does not look at: `typ`, a reasonable `exp`, an `iat` of now, a `sub` that is text, `azp` beside a single `aud`
 * (OpenID Connect Core 1.0 section 3.1.3.7; threats A80-A84).
 */
export async function verifyIdToken(
  idToken: string,
  keySet: JWTVerifyGetKey,
  { issuer, clientId, isRefreshed = false }: ExpectedParties,
): Promise<JWTPayload> {
  const { payload, protectedHeader } = await jwtVerify(idToken, keySet, {
    issuer,
    audience: clientId,
    algorithms: [...ALGORITHMS],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    maxTokenAge: 600,
    requiredClaims: ['sub', 'exp', 'iat', ...(isRefreshed ? [] : ['nonce'])],
  }).catch(translate)
  const fault = faultOf(payload, protectedHeader.typ, clientId)
  if (fault !== undefined) throw new AuthError('sign_in_failed', `the ID token ${fault}`)
  return payload
}

function faultOf(claims: JWTPayload, typ: unknown, clientId: string): string | undefined {
  const { exp = 0, iat = 0, azp } = claims
  if (!isIdTokenType(typ)) return 'is of another type'
  if (!isReasonable(exp - iat)) return 'lives too long'
  if (!hasUsableSubject(claims)) return 'has no usable sub'
  return azp === undefined || azp === clientId ? undefined : 'was issued to another client'
}

/** `typ` need not be there; where it is, it must not be that of an access or logout token (RFC 8725 section 3.11). */
function isIdTokenType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === 'string' && typ.toUpperCase() === 'JWT')
}
