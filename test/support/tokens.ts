import {
  base64url,
  decodeJwt,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose'

/** Key that signs a token, valid or not. */
export type Signer =
  | 'provider'
  | 'provider-es256'
  /** Another key under the provider's `kid`. */
  | 'stranger'
  | 'unknown-kid'
  | 'none'
  /** HS256 with the provider's public key as the secret. */
  | 'public-key-as-secret'

export interface SignOptions {
  readonly as?: Signer
  readonly header?: Readonly<Record<string, unknown>>
}

export type ClaimChanges = Readonly<Record<string, unknown>>

export function changeClaims(claims: JWTPayload, changes: ClaimChanges): JWTPayload {
  return Object.fromEntries(
    Object.entries({ ...claims, ...changes }).filter(([, value]) => value !== undefined),
  )
}

export function claimsOf(token: string): JWTPayload {
  return decodeJwt(token)
}

export async function signToken(
  keys: readonly JWK[],
  claims: JWTPayload,
  { as = 'provider', header = {} }: SignOptions = {},
): Promise<string> {
  const rsa = keyOf(keys, 'RS256')
  const signed = (jwtHeader: Readonly<Record<string, unknown>>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', ...jwtHeader, ...header })
  switch (as) {
    case 'provider':
      return signed({ kid: rsa.kid }).sign(await importJWK(rsa, 'RS256'))
    case 'provider-es256': {
      const ec = keyOf(keys, 'ES256')
      return signed({ alg: 'ES256', kid: ec.kid }).sign(await importJWK(ec, 'ES256'))
    }
    case 'stranger':
      return signed({ kid: rsa.kid }).sign((await generateKeyPair('RS256')).privateKey)
    case 'unknown-kid':
      return signed({ kid: 'unknown' }).sign((await generateKeyPair('RS256')).privateKey)
    case 'none':
      return new UnsecuredJWT(claims).encode()
    case 'public-key-as-secret': {
      const secret = new TextEncoder().encode(await publicPem(rsa))
      return signed({ alg: 'HS256', kid: rsa.kid }).sign(secret)
    }
  }
}

/** Flips one bit of the signature. */
export function breakSignature(token: string): string {
  const [header, payload, signature = ''] = token.split('.')
  const bytes = base64url.decode(signature)
  bytes[0] = (bytes[0] ?? 0) ^ 1
  return [header, payload, base64url.encode(bytes)].join('.')
}

function keyOf(keys: readonly JWK[], alg: string): JWK {
  const key = keys.find((candidate) => candidate.alg === alg)
  if (!key) throw new Error(`the provider has no ${alg} key`)
  return key
}

async function publicPem({ kty, n, e }: JWK): Promise<string> {
  const key = await importJWK({ kty, n, e, ext: true } as JWK, 'RS256', { extractable: true })
  if (key instanceof Uint8Array) throw new Error('an RSA key was expected')
  return exportSPKI(key)
}
