import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, jwtVerify, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { ClientCredentials } from '../../src/core/client-credentials.ts'
import { base, problemRows, problemsOf, settingsIn } from '../support/configuration.ts'

const credentialsOf = (changes: Environment): ClientCredentials =>
  loadConfig({ ...base, ...changes }).clientCredentials

function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

const keyOf = (text: string) => {
  const credentials = credentialsOf({ OIDC_CLIENT_PRIVATE_KEY: text })
  if (credentials.method !== 'private_key_jwt') throw new Error(credentials.method)
  return credentials.key
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })
const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' })
const jwk = (key: KeyObject, changes: object = {}) =>
  JSON.stringify({ ...key.export({ format: 'jwk' }), ...changes })

describe('a private key of the client', () => {
  test.for([
    ['RS256', rsa],
    ['ES256', ec('P-256')],
    ['ES384', ec('P-384')],
    ['ES512', ec('P-521')],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ] as const)('in PEM signs with %s, and its id is its thumbprint', async ([alg, pair]) => {
    const key = keyOf(pem(pair.privateKey))
    expect(key.alg).toBe(alg)
    expect(key.kid).toBe(await calculateJwkThumbprint(await exportJWK(pair.publicKey)))
    expect(key.privateKey.extractable).toBe(false)
    const token = await new SignJWT({}).setProtectedHeader({ alg }).sign(key.privateKey)
    await expect(jwtVerify(token, pair.publicKey)).resolves.toBeDefined()
    const oneLine = pem(pair.privateKey).replaceAll('\n', '\\n')
    for (const text of [jwk(pair.privateKey), oneLine]) {
      expect(keyOf(text)).toMatchObject({ alg, kid: key.kid })
    }
    const { kid } = key
    const known = { ...pair.publicKey.export({ format: 'jwk' }), use: 'sig', alg, kid }
    expect(key.publicJwk).toEqual(known)
  })

  test.for([
    ['PS256', rsa],
    ['RS384', rsa],
    ['PS512', rsa],
    ['Ed25519', generateKeyPairSync('ed25519')],
  ] as const)('as a JWK names its algorithm %s and its id', async ([alg, pair]) => {
    const key = keyOf(jwk(pair.privateKey, { alg, kid: 'key-1', use: 'sig' }))
    expect(key).toMatchObject({ alg, kid: 'key-1' })
    const token = await new SignJWT({}).setProtectedHeader({ alg }).sign(key.privateKey)
    await expect(jwtVerify(token, pair.publicKey)).resolves.toBeDefined()
  })

  test('is a secret: it is read from a file, too, and no problem quotes it', () => {
    const text = jwk(rsa.privateKey)
    const problems = problemsWith({ OIDC_CLIENT_PRIVATE_KEY: text.slice(0, -30) })
    expect(problems).toEqual([expect.stringMatching(/is not JSON; make one with: openssl genpkey/)])
    expect(problems.join()).not.toContain(text.slice(10, 30))
    expect(problemsWith({ OIDC_CLIENT_PRIVATE_KEY_FILE: '/nowhere/client-key.pem' })[0]).toMatch(
      /^OIDC_CLIENT_PRIVATE_KEY_FILE: \/nowhere\/client-key\.pem cannot be read/,
    )
  })

  const secret = randomBytes(32).toString('base64url')
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const encrypted = {
    format: 'pem',
    type: 'pkcs8',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  } as const
  test.for<[string, string, RegExp]>([
    ['nothing that is known', 'secret', /is no private key for signatures/],
    ['a public key', rsa.publicKey.export({ format: 'pem', type: 'spki' }), /no private/],
    ['a public JWK', jwk(rsa.publicKey), /is a JWK without its private part/],
    ['a symmetric JWK', JSON.stringify({ kty: 'oct', k: secret }), /without its private part/],
    ['a set of keys', JSON.stringify({ keys: [] }), /without its private part/],
    ['an encryption key', jwk(rsa.privateKey, { use: 'enc' }), /whose use is not sig/],
    ['another kind’s alg', jwk(rsa.privateKey, { alg: 'ES256' }), /alg that is none of RS256/],
    ['a symmetric algorithm', jwk(rsa.privateKey, { alg: 'HS256' }), /alg that is none of RS256/],
    ['no algorithm', jwk(rsa.privateKey, { alg: 'none' }), /alg that is none of/],
    ['an alg that is no text', jwk(rsa.privateKey, { alg: 7 }), /alg that is none of/],
    ['another curve’s alg', jwk(ec('P-256').privateKey, { alg: 'ES384' }), /none of ES256/],
    ['another curve', pem(ec('secp256k1').privateKey), /not an RSA, P-256/],
    ['a key for agreement', pem(generateKeyPairSync('x25519').privateKey), /not an RSA, P-256/],
    ['a short RSA key', pem(short.privateKey), /has 1024 bits, at least 2048 are needed/],
    ['an encrypted key', rsa.privateKey.export(encrypted), /is no private key for signatures/],
  ])('cannot be %s', ([, text, problem]) => {
    const problems = problemsWith({ OIDC_CLIENT_PRIVATE_KEY: text })
    expect(problems).toEqual([expect.stringMatching(problem)])
    expect(problems[0]).toMatch(/^OIDC_CLIENT_PRIVATE_KEY: .*; make one with: openssl genpkey /)
  })
})

describe('how the client authenticates', () => {
  const withKey = (settings: string) =>
    settingsIn(
      settings
        .replace('=@', `=${jwk(rsa.privateKey)}`)
        .replace(' METHOD', ' OIDC_TOKEN_ENDPOINT_AUTH_METHOD'),
    )
  test.for([
    ['OIDC_CLIENT_SECRET=', 'none'],
    ['OIDC_CLIENT_SECRET=s', 'client_secret'],
    ['OIDC_CLIENT_SECRET=s METHOD=client_secret_basic', 'client_secret_basic'],
    ['OIDC_CLIENT_PRIVATE_KEY=@', 'private_key_jwt'],
    ['OIDC_CLIENT_SECRET=s METHOD=client_secret_post', 'client_secret_post'],
    ['OIDC_CLIENT_PRIVATE_KEY=@ METHOD=private_key_jwt', 'private_key_jwt'],
  ] as const)('%s makes it %s', ([settings, method]) => {
    expect(credentialsOf(withKey(settings)).method).toBe(method)
  })

  test.for(problemRows`
    OIDC_TOKEN_ENDPOINT_AUTH_METHOD=private_key_jwt
    ^OIDC_CLIENT_PRIVATE_KEY: is missing.*; make one with: openssl genpkey .* -out client-key\.pem$
    OIDC_CLIENT_SECRET=s OIDC_CLIENT_PRIVATE_KEY=@
    ^OIDC_CLIENT_SECRET and OIDC_CLIENT_PRIVATE_KEY are both set: keep the one
    OIDC_CLIENT_PRIVATE_KEY=@ OIDC_TOKEN_ENDPOINT_AUTH_METHOD=none
    ^OIDC_CLIENT_PRIVATE_KEY: is not used because OIDC_TOKEN_ENDPOINT_AUTH_METHOD is none
  `)('%s is the problem %s', ([settings, problem]) => {
    expect(problemsWith(withKey(settings))).toEqual([expect.stringMatching(problem)])
  })
})
