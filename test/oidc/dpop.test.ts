import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, type JWK, SignJWT } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import { createProofVerifier, type ProvenRequest } from '../../src/bearer/dpop-proof.ts'
import { createProofKey, nowSeconds, type ProofKey } from '../support/bearers.ts'
import { claimsOf } from '../support/tokens.ts'
import { members, rows, words } from '../support/words.ts'

type Row = [string, () => unknown]

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
    const parts = [key.thumbprint, 'a']
    expect(spend).toEqual({ kind: 'dpop', parts, endsAt: (iat + 60 + 30) * 1000 })
  })

  test.for([
    ...rows`
      HTTPS://App.Example.COM/api/ https://app.example.com:443/api/
      https://app.example.com/api/?a=b#c https://app.example.com/x/../api/
    `('https://app.example.com/api/'),
    ['https://app.example.com/%c3%a4', 'https://app.example.com/%C3%A4'],
    ['https://app.example.com/%7e%61', 'https://app.example.com/~a'],
    ['https://app.example.com', 'https://app.example.com/'],
    ['http://app.localhost:8080/', 'http://app.localhost:8080/'],
  ] as const)('may name by %s the address %s', async ([htu, url]) => {
    const key = await createProofKey()
    expect(await verify(await key.prove(TOKEN, { htu }), requestOf(key, { url }))).toBeDefined()
  })

  test.for<[string, () => unknown]>([
    ...[undefined, 'POST', 'get'].map((htm): Row => ['htm', () => htm]),
    ...words`
      https://app.example.com/api https://app.example.com/API/ https://app.example.com%2fapi/
      http://app.example.com/api/ https://other.example.com/api/
      https://app.example.com:8443/api/ https://u:p@app.example.com/api/
      https://app.example.com\\api/ /api/ https://
    `.map((htu): Row => ['htu', () => htu]),
    ...[undefined, 7].map((htu): Row => ['htu', () => htu]),
    ['iat', () => undefined],
    ...[-70, 70].map((seconds): Row => ['iat', () => nowSeconds() + seconds]),
    ['iat', () => String(nowSeconds())],
    ...[undefined, '', 7, 'j'.repeat(257)].map((jti): Row => ['jti', () => jti]),
    ['ath', () => undefined],
    ['ath', () => createHash('sha256').update('x').digest('base64url')],
    ['ath', () => createHash('sha256').update(TOKEN).digest('hex')],
  ])('proves nothing with a wrong %s', async ([name, value]) => {
    const key = await createProofKey()
    const proof = await key.prove(TOKEN, { [name]: value() })
    expect(await verify(proof, requestOf(key))).toBeUndefined()
  })

  test('may have a jti of 256 characters', async () => {
    const key = await createProofKey()
    const proof = await key.prove(TOKEN, { jti: 'j'.repeat(256) })
    expect(await verify(proof, requestOf(key))).toBeDefined()
  })

  test.for(members`
    typ="JWT" typ jwk jwk="key" jwk={} jwk={"kty":"__proto__","crv":"P-256"}
    jwk={"kty":"oct","k":"AAAA"} jwk={"kty":"EC","crv":"P-256","x":"AA","y":"AA"}
  `)('proves nothing with %s in its header', async ([, header]) => {
    const key = await createProofKey()
    expect(await verify(await key.prove(TOKEN, {}, header), requestOf(key))).toBeUndefined()
  })

  test('proves nothing with the right key in its header and a signature of another', async () => {
    const key = await createProofKey()
    const jwk = await exportJWK(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
    const forged = await key.prove(TOKEN, {}, { jwk })
    const keyThumbprint = await calculateJwkThumbprint(jwk)
    expect(await verify(forged, requestOf(key, { keyThumbprint }))).toBeUndefined()
  })

  const secret = Buffer.alloc(32, 7)
  const inClear = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  test('proves nothing while it shows the private key', async () =>
    await expectUnproven('ES256', await exportJWK(inClear), inClear))

  test('proves nothing with a secret for a key', async () =>
    await expectUnproven('HS256', { kty: 'oct', k: secret.toString('base64url') }, secret))

  async function expectUnproven(alg: string, jwk: JWK, signer: KeyObject | Buffer): Promise<void> {
    const key = await createProofKey()
    const proof = await new SignJWT(claimsOf(await key.prove(TOKEN)))
      .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk })
      .sign(signer)
    const keyThumbprint = await calculateJwkThumbprint(jwk)
    expect(await verify(proof, requestOf(key, { keyThumbprint }))).toBeUndefined()
  }

  test.for(['', ...words`a a.b a.b.c a.b.c.d .. ${'a'.repeat(9000)}.b.c`])(
    'is no proof: %j',
    async (proof) => expect(await verify(proof, requestOf(await createProofKey()))).toBeUndefined(),
  )

  test('is refused before any arithmetic where the key is huge', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 4160 })
    const jwk = await exportJWK(publicKey)
    const imported = vi.spyOn(crypto.subtle, 'importKey')
    await expectUnproven('RS256', jwk, privateKey)
    expect(imported.mock.calls.map(([format]) => format)).not.toContain('jwk')
    imported.mockRestore()
  })
})
