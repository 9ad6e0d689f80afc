import { createPrivateKey, type KeyObject, sign, type webcrypto } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { JWKS } from 'oidc-provider'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type ScriptedServer,
  startScriptedServer,
} from '../../stand-ins/network/scripted-server.ts'
import { generateProviderKeys } from '../../stand-ins/provider/provider.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { claimsOf } from '../support/tokens.ts'

let party: RelyingParty
let canary: ScriptedServer
let attacker: Awaited<ReturnType<typeof makeAttacker>>
let providerKeys: JWKS

const makeAttacker = async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'attacker', alg: 'RS256', use: 'sig' }
  const forge = (claims: JWTPayload, header: Readonly<Record<string, unknown>>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', ...header }).sign(privateKey)
  return { jwk, forge }
}

beforeAll(async () => {
  attacker = await makeAttacker()
  canary = await startScriptedServer()
  canary.script({
    headers: ['Content-Type', 'application/json'],
    body: JSON.stringify({ keys: [attacker.jwk] }),
  })
  providerKeys = await generateProviderKeys()
  party = await startRelyingParty({}, { configuration: { jwks: providerKeys } })
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await canary.close()
})

/** The token endpoint answers the genuine claims, nonce included, in a token of the attacker's. */
const forge = (header: (url: string) => Readonly<Record<string, unknown>>) =>
  party.provider.set('token', {
    rewrite: async (body) => ({
      ...body,
      id_token: await attacker.forge(claimsOf(String(body['id_token'])), header(canary.url)),
    }),
  })

describe('A81 kid, jku, x5u, jwk, x5c and crit injection', () => {
  test.for<[string, (url: string) => Readonly<Record<string, unknown>>]>([
    ['jku', (url) => ({ kid: 'attacker', jku: `${url}/jwks` })],
    ['x5u', (url) => ({ kid: 'attacker', x5u: `${url}/cert.pem` })],
    ['jku and x5u without a kid', (url) => ({ jku: `${url}/jwks`, x5u: `${url}/cert.pem` })],
    ['an embedded jwk', () => ({ kid: 'attacker', jwk: attacker.jwk })],
    ['an embedded jwk without a kid', () => ({ jwk: attacker.jwk })],
    ['x5c', () => ({ kid: 'attacker', x5c: ['MIIB'] })],
    ['kid as SQL', () => ({ kid: "' OR 1=1 --" })],
    ['kid as a path', () => ({ kid: '../../../../dev/null' })],
    ['kid as a URL', (url) => ({ kid: `${url}/jwks` })],
    ['kid __proto__', () => ({ kid: '__proto__' })],
    ['kid constructor', () => ({ kid: 'constructor' })],
    ['an empty kid', () => ({ kid: '' })],
    ['kid of 100 KB', () => ({ kid: 'k'.repeat(100_000) })],
    ['kid with line breaks', () => ({ kid: 'a\r\nSet-Cookie: b=c' })],
    ['kid as a number', () => ({ kid: 1 })],
    ['kid as an object', () => ({ kid: { toString: 'attacker' } })],
  ])('a token of another key is refused and its address not asked: %s', async ([, header]) => {
    forge(header)
    const { answer, isSignedIn } = await party.attempt()
    expect([400, 502]).toContain(answer.status)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.setCookies.join()).not.toContain('b=c')
    expect(isSignedIn).toBe(false)
    expect(canary.seen).toEqual([])
  })

  test('a token signed by hand with the provider’s key is accepted without crit', async () => {
    party.provider.set('token', {
      rewrite: (body) => ({
        ...body,
        id_token: signByHand(claimsOf(String(body['id_token'])), {}),
      }),
    })
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test.for<[string, Readonly<Record<string, unknown>>]>([
    ['an unknown name', { crit: ['exp-x'], 'exp-x': 1 }],
    ['b64', { crit: ['b64'], b64: true }],
    ['a registered name', { crit: ['alg'] }],
    ['an empty list', { crit: [] }],
    ['text', { crit: 'exp' }],
  ])('a genuine signature does not help against crit: %s', async ([, header], { expect }) => {
    party.provider.set('token', {
      rewrite: (body) => {
        const claims = claimsOf(String(body['id_token']))
        return { ...body, id_token: signByHand(claims, header) }
      },
    })
    const { answer, isSignedIn } = await party.attempt()
    expect([400, 502]).toContain(answer.status)
    expect(isSignedIn).toBe(false)
  })

  test.for(['jku', 'x5u'])(
    'a genuine token with a foreign %s is judged by the known keys alone',
    async (name, { expect }) => {
      party.provider.tamperIdToken({}, { header: { [name]: `${canary.url}/keys` } })
      expect((await party.attempt()).isSignedIn).toBe(true)
      expect(canary.seen).toEqual([])
      expect(party.vestibule.isAlive()).toBe(true)
    },
  )
})

/** With the provider's own key; jose refuses to make such a token. */
const signByHand = (claims: JWTPayload, header: Readonly<Record<string, unknown>>): string => {
  const { kid, key } = rsaKey()
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'RS256', kid, ...header })}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
}

const rsaKey = (): { kid: string | undefined; key: KeyObject } => {
  const jwk = providerKeys.keys.find(({ kty }) => kty === 'RSA')
  if (!jwk) throw new Error('the provider has no RSA key')

  return {
    kid: jwk.kid,
    key: createPrivateKey({ key: jwk as webcrypto.JsonWebKey, format: 'jwk' }),
  }
}
