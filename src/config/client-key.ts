import { createPrivateKey, createPublicKey, type KeyObject, type webcrypto } from 'node:crypto'
import type { ClientKey } from '../core/client-credentials.ts'
import { parseJson } from '../core/json.ts'
import { sha256 } from '../crypto/digest.ts'
import { ValueError } from './config-error.ts'

type JsonWebKey = webcrypto.JsonWebKey & { readonly kid?: unknown }
type SigningAlgorithm = Parameters<KeyObject['toCryptoKey']>[0]

/** Signature algorithms by type of key, the default first (RFC 7518, section 3.1; RFC 8037). */
const ALGORITHMS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  RSA: ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512'],
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
  Ed25519: ['EdDSA', 'Ed25519'],
}

/** Members of a JWK that its thumbprint covers, in order (RFC 7638, section 3.2). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, string[]>> = {
  RSA: ['e', 'kty', 'n'],
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
}

const RSA_MIN_BITS = 2048

/**
 * Parses `OIDC_CLIENT_PRIVATE_KEY`: a PEM, or a private JWK, which may name `alg` and `kid`. Throws `ValueError`
 * that quotes nothing of the key.
 */
export function parseClientKey(text: string): ClientKey {
  const jwk = text.startsWith('{') ? parseJwk(text) : {}
  const { key, publicJwk } = readKey(text, jwk)
  const { kty = '', crv = kty } = publicJwk
  const alg = algorithmFor(crv, jwk.alg)
  const privateKey = key.toCryptoKey(signingAlgorithm(alg, crv), false, ['sign'])
  const kid = typeof jwk.kid === 'string' ? jwk.kid : thumbprint(publicJwk, kty)
  return { privateKey, alg, kid, publicJwk: { ...publicJwk, alg, use: 'sig', kid } }
}

function parseJwk(text: string): JsonWebKey {
  const jwk = parseJson(text) as JsonWebKey | undefined
  // Leaves out the parser's message because it might quote the key.
  if (!jwk) throw new ValueError('is not JSON')
  if (typeof jwk.d !== 'string') throw new ValueError('is a JWK without its private part')
  if (jwk.use !== undefined && jwk.use !== 'sig') {
    throw new ValueError('is a JWK whose use is not sig')
  }
  return jwk
}

function readKey(text: string, jwk: JsonWebKey): { key: KeyObject; publicJwk: JsonWebKey } {
  const { key, publicJwk } = openKey(text, jwk)
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < RSA_MIN_BITS) {
    throw new ValueError(`has ${bits} bits, at least ${RSA_MIN_BITS} are needed`)
  }
  return { key, publicJwk }
}

function openKey(text: string, jwk: JsonWebKey): { key: KeyObject; publicJwk: JsonWebKey } {
  try {
    // Many write the line ends of a PEM as \n in an environment file.
    const pem = text.replaceAll('\\n', '\n')
    const key = createPrivateKey(jwk.kty === undefined ? pem : { key: jwk, format: 'jwk' })
    return { key, publicJwk: createPublicKey(key).export({ format: 'jwk' }) }
  } catch {
    throw new ValueError('is no private key for signatures, neither in PEM nor as a JWK')
  }
}

function algorithmFor(crv: string, wanted: unknown): string {
  const known = ALGORITHMS[crv]
  if (!known) throw new ValueError('is not an RSA, P-256, P-384, P-521 or Ed25519 key')
  if (wanted === undefined) return known[0]
  if (typeof wanted === 'string' && known.includes(wanted)) return wanted
  throw new ValueError(`has an alg that is none of ${known.join(', ')}`)
}

function signingAlgorithm(alg: string, crv: string): SigningAlgorithm {
  const digest = `SHA-${alg.slice(2)}`
  switch (alg.slice(0, 2)) {
    case 'RS':
      return { name: 'RSASSA-PKCS1-v1_5', hash: digest }
    case 'PS':
      return { name: 'RSA-PSS', hash: digest }
    case 'ES':
      return { name: 'ECDSA', namedCurve: crv }
    default:
      return { name: 'Ed25519' }
  }
}

function thumbprint(publicJwk: JsonWebKey, kty: string): string {
  return sha256(JSON.stringify(publicJwk, THUMBPRINT_MEMBERS[kty]))
}
