import { createPrivateKey, sign, type webcrypto } from 'node:crypto'
import type { JWTPayload } from 'jose'
import { beforeEach, expect, test } from 'vitest'
import { generateProviderKeys } from '../../stand-ins/provider/provider.ts'
import { attackersJwk, forgeToken, useCanary } from '../support/canary.ts'
import { takeTime } from '../support/passing-time.ts'
import { claimsOf } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'

type Header = Readonly<Record<string, unknown>>
const providerKeys = await generateProviderKeys()
const canary = useCanary(() => ({ keys: [attackersJwk] }))
const party = useParty({}, { configuration: { jwks: providerKeys } })
const time = takeTime()
/** Ends the pause between two fetches of the keys, for which a forged token would wait. */
beforeEach(() => time.pass(1000))

test.for<[string, (url: string) => Header]>([
  ['jku', (url) => ({ kid: 'attacker', jku: `${url}/jwks` })],
  ['x5u', (url) => ({ kid: 'attacker', x5u: `${url}/cert.pem` })],
  ['jku and x5u without a kid', (url) => ({ jku: `${url}/jwks`, x5u: `${url}/cert.pem` })],
  ['an embedded jwk', () => ({ kid: 'attacker', jwk: attackersJwk })],
  ['an embedded jwk without a kid', () => ({ jwk: attackersJwk })],
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
  party.replaceIdToken((token) => forgeToken(claimsOf(token), header(canary.url)))
  const { setCookies } = await party.expectNoSignIn()
  expect(setCookies.join()).not.toContain('b=c')
})

test('a token signed by hand with the provider’s key is accepted without crit', async () => {
  party.replaceIdToken((token) => signByHand(claimsOf(token), {}))
  expect((await party.attempt()).isSignedIn).toBe(true)
})

test.for<[string, Header]>([
  ['an unknown name', { crit: ['exp-x'], 'exp-x': 1 }],
  ['b64', { crit: ['b64'], b64: true }],
  ['a registered name', { crit: ['alg'] }],
  ['an empty list', { crit: [] }],
  ['text', { crit: 'exp' }],
])('a genuine signature does not help against crit: %s', async ([, header]) => {
  party.replaceIdToken((token) => signByHand(claimsOf(token), header))
  await party.expectNoSignIn()
})

test.for(['jku', 'x5u'])('a foreign %s adds no key to ours', async (name) => {
  party.provider.tamperIdToken({}, { header: { [name]: `${canary.url}/keys` } })
  expect((await party.attempt()).isSignedIn).toBe(true)
  expect((await party.attempt()).isSignedIn).toBe(true)
})

/** Signs with the provider's own key by hand, since jose refuses to make such a token. */
function signByHand(claims: JWTPayload, header: Header): string {
  const jwk = providerKeys.keys.find(({ kty }) => kty === 'RSA')
  if (!jwk) throw new Error('the provider has no RSA key')
  const key = createPrivateKey({ key: jwk as webcrypto.JsonWebKey, format: 'jwk' })
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'RS256', kid: jwk.kid, ...header })}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
}
