import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type ScriptedServer,
  startScriptedServer,
} from '../../stand-ins/network/scripted-server.ts'
import {
  AUDIENCE,
  type BearerParty,
  bearerRule,
  expectTokenRefusal,
  nowSeconds,
  startBearerParty,
} from '../support/bearers.ts'

let party: BearerParty
let canary: ScriptedServer
let attacker: { readonly privateKey: CryptoKey; readonly jwk: JWK }

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  attacker = { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: 'attacker', alg: 'RS256' } }
  canary = await startScriptedServer()
  const metadata = { issuer: canary.url, jwks_uri: `${canary.url}/jwks`, keys: [attacker.jwk] }
  canary.script({
    headers: ['Content-Type', 'application/json'],
    body: JSON.stringify(metadata),
  })
  party = await startBearerParty([bearerRule('/**'), bearerRule('/jwt/**', { tokenType: 'jwt' })])
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await canary.close()
})

const forge = (iss: unknown, header: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  new SignJWT({
    iss: iss as string,
    aud: AUDIENCE,
    sub: 'root',
    client_id: 'c',
    jti: crypto.randomUUID(),
    iat: nowSeconds(),
    exp: nowSeconds() + 60,
  })
    .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: 'attacker', ...header })
    .sign(attacker.privateKey)

describe('A95 addresses in a bearer', () => {
  test('an issuer that no rule names is not asked for anything', async () => {
    const { url } = canary
    const port = new URL(url).port
    for (const iss of [
      url,
      `${url}/`,
      `http://localhost:${port}`,
      'https://169.254.169.254',
      [url],
    ]) {
      const visit = await party.present(await forge(iss))
      expectTokenRefusal(visit, 'invalid_token')
      expect(visit.headers['www-authenticate']).toContain('the issuer is not trusted')
    }
    expect(canary.seen).toEqual([])
  })

  test('a trusted issuer under another spelling is another issuer', async () => {
    const { issuer } = party.provider
    party.provider.forgetRequests()
    for (const iss of [`${issuer}/`, issuer.toUpperCase(), `${issuer}?`, ` ${issuer}`, undefined]) {
      expectTokenRefusal(await party.present(await party.mint({ iss })), 'invalid_token')
    }
    expect(party.provider.count('jwks')).toBe(0)
  })

  test.for<[string, () => Readonly<Record<string, unknown>>]>([
    ['jku', () => ({ jku: `${canary.url}/jwks` })],
    ['x5u', () => ({ x5u: `${canary.url}/cert.pem` })],
    ['jwk', () => ({ jwk: attacker.jwk })],
    ['x5c', () => ({ x5c: ['MIIB'] })],
    ['kid as an address', () => ({ kid: `${canary.url}/jwks` })],
  ])('a key that comes with the token is not used: %s', async ([, header]) => {
    const token = await forge(party.provider.issuer, header())
    expectTokenRefusal(await party.present(token), 'invalid_token')
    expect(canary.seen).toEqual([])
  })

  test('the genuine token passes, whatever address stands in its header', async () => {
    const token = await party.mint({}, { header: { jku: `${canary.url}/jwks` } })
    expect((await party.present(token)).status).toBe(200)
    expect(canary.seen).toEqual([])
  })
})
