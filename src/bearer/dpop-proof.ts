import {
  type CompactJWSHeaderParameters,
  calculateJwkThumbprint,
  EmbeddedJWK,
  type FlattenedJWSInput,
  type JWK,
  type JWTPayload,
  jwtVerify,
} from 'jose'
import { isText } from '../core/claims.ts'
import { isCompactJws } from '../core/compact-jws.ts'
import type { Spend } from '../core/decision.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { SIGNING_ALGORITHMS } from '../core/signing-algorithms.ts'
import { sha256 } from '../crypto/digest.ts'
import { unusableKey } from '../oidc/request/provider-errors.ts'
import { CLOCK_TOLERANCE_SECONDS } from '../oidc/tokens/token-rules.ts'

/** Request that a proof must match. */
export interface ProvenRequest {
  readonly method: string
  /** URL of the request without its query. */
  readonly url: string
  readonly token: string
  readonly keyThumbprint: string
}

/** Verifies a DPoP proof (RFC 9449 section 4.3) except for replay; `undefined` for an invalid one. */
export type VerifyProof = (proof: string, request: ProvenRequest) => Promise<Spend | undefined>

/** Algorithms named in the challenge (RFC 9449 section 7.1). */
export const DPOP_ALGORITHMS = SIGNING_ALGORITHMS.join(' ')

const MAX_PROOF_LENGTH = 8 * 1024
const MAX_JTI_LENGTH = 256
const WINDOW_SECONDS = 60

/** Creates a verifier; `iat` may differ from this replica's clock by `WINDOW_SECONDS`. */
export function createProofVerifier(now: () => EpochMs): VerifyProof {
  return async (proof, request) => {
    if (proof.length > MAX_PROOF_LENGTH || !isCompactJws(proof)) return undefined
    const nowMs = now()
    const verified = await jwtVerify(proof, embeddedKey, {
      typ: 'dpop+jwt',
      algorithms: [...SIGNING_ALGORITHMS],
      currentDate: new Date(nowMs),
    }).catch(() => undefined)
    if (!verified) return undefined
    const { payload, protectedHeader } = verified
    const { jti, iat = Number.NaN } = payload
    const thumbprint = await calculateJwkThumbprint(protectedHeader.jwk as JWK)
    const isProof =
      thumbprint === request.keyThumbprint &&
      Math.abs(nowMs / 1000 - iat) <= WINDOW_SECONDS &&
      isAbout(payload, request)
    if (!isProof || !isText(jti) || jti.length > MAX_JTI_LENGTH) return undefined
    const endsAt = (iat + WINDOW_SECONDS + CLOCK_TOLERANCE_SECONDS) * 1000
    return { kind: 'dpop', parts: [thumbprint, jti], endsAt }
  }
}

function isAbout({ htm, htu, ath }: JWTPayload, { method, url, token }: ProvenRequest): boolean {
  const target = isText(htu) ? normalize(htu) : undefined
  return (
    htm === method && target !== undefined && target === normalize(url) && ath === sha256(token)
  )
}

/** Normalizes scheme, host, port and path (RFC 3986 section 6.2) and drops query and fragment. */
function normalize(uri: string): string | undefined {
  const url = /^https?:\/\/[\x21-\x5b\x5d-\x7e]+$/i.test(uri) ? URL.parse(uri) : null
  if (!url || url.username || url.password) return undefined
  return url.origin + url.pathname.replace(/%[0-9a-f]{2}/gi, normalizeEscape)
}

function normalizeEscape(escape: string): string {
  const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
  return /[\w.~-]/.test(character) ? character : escape.toUpperCase()
}

/** Returns the key in the proof's own header, which the caller compares with the thumbprint in the token. */
async function embeddedKey(header: CompactJWSHeaderParameters, token: FlattenedJWSInput) {
  if (!isModestPublicKey(header.jwk)) throw unusableKey()
  return EmbeddedJWK(header, token)
}

const CURVES = new Map([
  ['EC', ['P-256', 'P-384', 'P-521']],
  ['OKP', ['Ed25519']],
])
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
/** Length of a 4096-bit modulus in base64url; larger keys would be a denial of service (threat A88). */
const MAX_MODULUS_LENGTH = 683
const MAX_EXPONENT_LENGTH = 6

/** Accepts public keys of the allowed curves and sizes only. */
function isModestPublicKey(jwk: JWK | undefined): boolean {
  if (!jwk || PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return false
  const { kty = '', crv = '', n, e } = jwk
  if (kty !== 'RSA') return CURVES.get(kty)?.includes(crv) === true
  return isText(n) && n.length <= MAX_MODULUS_LENGTH && isText(e) && e.length <= MAX_EXPONENT_LENGTH
}
