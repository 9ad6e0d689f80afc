import { createHash, generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, importJWK, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { createProofVerifier, type ProvenRequest } from '../../src/bearer/dpop-proof.ts'
import { createProofKey, nowSeconds, type ProofKey } from '../support/bearers.ts'
import { claimsOf } from '../support/tokens.ts'
import { rows } from '../support/words.ts'

const TOKEN = 'header.payload.signature'
const verify = createProofVerifier(() => Date.now())

function requestOf(key: ProofKey, changes: Partial<ProvenRequest> = {}): ProvenRequest {
  return {
    method: 'GET',
    url: 'https://app.example.com/api/',
    token: TOKEN,
    keyThumbprint: key.thumbprint,
    ...changes,
  }
}

describe('a proof of possession', () => {
  test.for<[string, { crv?: string; modulusLength?: number }]>([
    ...rows`ES256 ES384 ES512 EdDSA Ed25519 RS256`({}),
    ['PS256', { modulusLength: 4096 }],
  ])('is accepted with a key for %s', async ([alg, options]) => {
    const key = await createProofKey(alg, options)
    const iat = nowSeconds() - 7
    const spend = await verify(await key.prove(TOKEN, { iat, jti: 'a' }), requestOf(key))
    expect(spend).toEqual({
      kind: 'dpop',
      parts: [key.thumbprint, 'a'],
      endsAt: (iat + 60 + 30) * 1000,
    })
  })

  test.for<[string, string, string]>([
    ['letters', 'HTTPS://App.Example.COM/api/', 'https://app.example.com/api/'],
    ['the default port', 'https://app.example.com:443/api/', 'https://app.example.com/api/'],
    ['a query', 'https://app.example.com/api/?a=b#c', 'https://app.example.com/api/'],
    ['dots', 'https://app.example.com/x/../api/', 'https://app.example.com/api/'],
    [
      'escapes in small letters',
      'https://app.example.com/%c3%a4',
      'https://app.example.com/%C3%A4',
    ],
    ['escapes of plain letters', 'https://app.example.com/%7e%61', 'https://app.example.com/~a'],
    ['no path', 'https://app.example.com', 'https://app.example.com/'],
    ['a port', 'http://app.localhost:8080/', 'http://app.localhost:8080/'],
  ])('may name the same address in another way: %s', async ([, htu, url]) => {
    const key = await createProofKey()
    expect(await verify(await key.prove(TOKEN, { htu }), requestOf(key, { url }))).toBeDefined()
  })

  test.for<[string, () => Record<string, unknown>]>([
    ['another method', () => ({ htm: 'POST' })],
    ['a method in small letters', () => ({ htm: 'get' })],
    ['no method', () => ({ htm: undefined })],
    ['another path', () => ({ htu: 'https://app.example.com/api' })],
    ['a path in capitals', () => ({ htu: 'https://app.example.com/API/' })],
    ['an escaped separator', () => ({ htu: 'https://app.example.com%2fapi/' })],
    ['http', () => ({ htu: 'http://app.example.com/api/' })],
    ['another host', () => ({ htu: 'https://other.example.com/api/' })],
    ['another port', () => ({ htu: 'https://app.example.com:8443/api/' })],
    ['a user', () => ({ htu: 'https://u:p@app.example.com/api/' })],
    ['a back-slash', () => ({ htu: 'https://app.example.com\\api/' })],
    ['a relative address', () => ({ htu: '/api/' })],
    ['no URL', () => ({ htu: 'https://' })],
    ['no address', () => ({ htu: undefined })],
    ['an address that is no text', () => ({ htu: 7 })],
    ['no iat', () => ({ iat: undefined })],
    ['an old iat', () => ({ iat: nowSeconds() - 70 })],
    ['an iat from the future', () => ({ iat: nowSeconds() + 70 })],
    ['an iat as text', () => ({ iat: String(nowSeconds()) })],
    ['no jti', () => ({ jti: undefined })],
    ['an empty jti', () => ({ jti: '' })],
    ['a jti that is a number', () => ({ jti: 7 })],
    ['a jti of 257 characters', () => ({ jti: 'j'.repeat(257) })],
    ['no ath', () => ({ ath: undefined })],
    [
      'the ath of another token',
      () => ({ ath: createHash('sha256').update('x').digest('base64url') }),
    ],
    ['the ath in hex', () => ({ ath: createHash('sha256').update(TOKEN).digest('hex') })],
  ])('proves nothing with %s', async ([, changes]) => {
    const key = await createProofKey()
    expect(await verify(await key.prove(TOKEN, changes()), requestOf(key))).toBeUndefined()
  })

  test('may have a jti of 256 characters', async () => {
    const key = await createProofKey()
    const proof = await key.prove(TOKEN, { jti: 'j'.repeat(256) })
    expect(await verify(proof, requestOf(key))).toBeDefined()
  })

  test.for<[string, Record<string, unknown>]>([
    ['another typ', { typ: 'JWT' }],
    ['no typ', { typ: undefined }],
    ['no key', { jwk: undefined }],
    ['a key that is text', { jwk: 'key' }],
    ['a key of no type', { jwk: {} }],
    ['a key of a type that is inherited', { jwk: { kty: '__proto__', crv: 'P-256' } }],
    ['a symmetric key', { jwk: { kty: 'oct', k: 'AAAA' } }],
    ['a key that is no point', { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }],
  ])('proves nothing with %s in its header', async ([, header]) => {
    const key = await createProofKey()
    expect(await verify(await key.prove(TOKEN, {}, header), requestOf(key))).toBeUndefined()
  })

  test('proves nothing with a key other than that of the token', async () => {
    const [key, other] = await Promise.all([createProofKey(), createProofKey()])
    expect(await verify(await other.prove(TOKEN), requestOf(key))).toBeUndefined()
  })

  test('proves nothing with the right key in its header and a signature of another', async () => {
    const key = await createProofKey()
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = await exportJWK(other.publicKey)
    const forged = await key.prove(TOKEN, {}, { jwk })
    const request = { ...requestOf(key), keyThumbprint: await calculateJwkThumbprint(jwk) }
    expect(await verify(forged, request)).toBeUndefined()
  })

  test('proves nothing while it shows the private key', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = await exportJWK(privateKey)
    const key = await createProofKey()
    const proof = await new SignJWT(claimsOf(await key.prove(TOKEN)))
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
      .sign(await importJWK(jwk, 'ES256'))
    const request = { ...requestOf(key), keyThumbprint: await calculateJwkThumbprint(jwk) }
    expect(await verify(proof, request)).toBeUndefined()
  })

  test('proves nothing with a secret for a key', async () => {
    const key = await createProofKey()
    const jwk = { kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url') }
    const proof = await new SignJWT(claimsOf(await key.prove(TOKEN)))
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'HS256', jwk })
      .sign(Buffer.alloc(32, 7))
    const request = { ...requestOf(key), keyThumbprint: await calculateJwkThumbprint(jwk) }
    expect(await verify(proof, request)).toBeUndefined()
  })

  test.for(['', 'a', 'a.b', 'a.b.c', 'a.b.c.d', '..', `${'a'.repeat(9000)}.b.c`])(
    'is no proof: %j',
    async (proof) => {
      const key = await createProofKey()
      expect(await verify(proof, requestOf(key))).toBeUndefined()
    },
  )

  test('is refused before any arithmetic where the key is huge', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 4160 })
    const jwk = await exportJWK(publicKey)
    const key = await createProofKey()
    const proof = await new SignJWT(claimsOf(await key.prove(TOKEN)))
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'RS256', jwk })
      .sign(privateKey)
    const request = { ...requestOf(key), keyThumbprint: await calculateJwkThumbprint(jwk) }
    expect(await verify(proof, request)).toBeUndefined()
  })
})
