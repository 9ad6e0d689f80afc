import type { JWTPayload } from 'jose'
import type { FailureFacts } from '../../errors.ts'
import { acceptedAlgorithms, type ListedAlgorithms } from '../discovery/accepted-algorithms.ts'
import { claimFacts, factsAbout, sayClaim } from '../failure/claim-facts.ts'
import { isVerificationFailure, translate, VerificationError } from '../failure/translate.ts'
import type { KeySets } from './key-set.ts'
import { CLOCK_TOLERANCE_SECONDS, hasUsableSubject, isReasonable } from './token-rules.ts'

/** Part of the provider's metadata by which its tokens are verified. */
export interface TokenMetadata extends ListedAlgorithms {
  readonly issuer: string
  readonly jwks_uri?: string
}

/** Keys and registration by which tokens of the provider are verified. */
export interface IdTokenOptions {
  readonly keySets: KeySets
  readonly clientId: string
}

export interface VerifiedIdToken {
  readonly idToken: string
  readonly metadata: TokenMetadata
  /** Accepts a token without `nonce`, because a refreshed one has none (OpenID Connect Core 1.0 section 12.2). */
  readonly isRefreshed?: boolean
}

/**
 * Verifies the signature, which openid-client leaves out for tokens received over TLS, and the claims that
 * openid-client does not check: `typ`, a reasonable `exp`, a recent `iat`, a `sub` that is text, `azp` beside a single
 * `aud` (OpenID Connect Core 1.0 section 3.1.3.7; threats A80-A84).
 */
export async function verifyIdToken(
  { idToken, metadata, isRefreshed = false }: VerifiedIdToken,
  { keySets, clientId }: IdTokenOptions,
): Promise<JWTPayload> {
  const { issuer, jwks_uri } = metadata
  const algorithms = acceptedAlgorithms(metadata)
  const { payload, protectedHeader } = await keySets(jwks_uri as string)
    .verify(
      idToken,
      {
        issuer,
        audience: clientId,
        algorithms: [...algorithms],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        maxTokenAge: 600,
        requiredClaims: ['sub', 'exp', 'iat', ...(isRefreshed ? [] : ['nonce'])],
      },
      isRefreshed ? 'provider-in-background' : 'provider',
    )
    .catch((cause: unknown) => {
      if (!isVerificationFailure(cause)) return translate(cause, { metadata })
      throw refused(claimFacts(cause, { token: idToken, issuer, clientId, algorithms }), cause)
    })
  const fault = faultOf(payload, protectedHeader.typ, clientId)
  if (fault) throw refused(fault)
  return payload
}

function refused(facts: FailureFacts, cause?: unknown): VerificationError {
  const said = sayClaim(facts)
  const message = said === undefined ? 'the ID token is no JWT' : `the ID token's ${said}`
  const found = { endpoint: 'token_endpoint', ...facts }
  return new VerificationError(message, { facts: found, ...(cause !== undefined && { cause }) })
}

function faultOf(claims: JWTPayload, typ: unknown, clientId: string): FailureFacts | undefined {
  const { exp = 0, iat = 0, azp, sub } = claims
  if (!isIdTokenType(typ)) return factsAbout({ claim: 'typ', value: typ, expected: 'JWT' })
  if (!isReasonable(exp - iat)) {
    return {
      ...factsAbout({ claim: 'exp', value: exp }),
      expected: 'less than ten years after iat',
    }
  }
  if (!hasUsableSubject(claims)) {
    return { ...factsAbout({ claim: 'sub', value: sub }), expected: 'a text of visible characters' }
  }
  const isOurs = azp === undefined || azp === clientId
  return isOurs ? undefined : factsAbout({ claim: 'azp', value: azp, expected: clientId })
}

/** Accepts an absent `typ`, but not an empty one nor that of an access or logout token (RFC 8725 section 3.11). */
function isIdTokenType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === 'string' && typ.toUpperCase() === 'JWT')
}
