import { expect, test } from 'vitest'
import { AUDIENCE, bearerRule, expectTokenRefusal, nowSeconds } from '../support/bearers.ts'
import { attackersJwk, forgeToken, useCanary } from '../support/canary.ts'
import { useBearerParty } from '../support/used-party.ts'

const canary = useCanary((url) => ({ issuer: url, jwks_uri: `${url}/jwks`, keys: [attackersJwk] }))

const party = useBearerParty([bearerRule('/**'), bearerRule('/jwt/**', { tokenType: 'jwt' })])

function forge(iss: unknown, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const [iat, jti] = [nowSeconds(), crypto.randomUUID()]
  const claims = { aud: AUDIENCE, sub: 'root', client_id: 'c', jti, iat, exp: iat + 60 }
  return forgeToken(
    { iss: iss as string, ...claims },
    { typ: 'at+jwt', kid: 'attacker', ...header },
  )
}

test.for<[string, () => unknown]>([
  ['the attacker’s', () => canary.url],
  ['the same with a slash', () => `${canary.url}/`],
  ['the same by name', () => `http://localhost:${canary.port}`],
  ['the metadata service of clouds', () => 'https://169.254.169.254'],
  ['a list', () => [canary.url]],
])('an issuer that no rule names is not asked: %s', async ([, iss]) => {
  const visit = await party.present(await forge(iss()))
  expectTokenRefusal(visit, 'invalid_token')
  expect(visit.headers['www-authenticate']).toContain('the issuer is not trusted')
})

test.for<[string, (issuer: string) => string | undefined]>([
  ['a slash more', (issuer) => `${issuer}/`],
  ['capitals', (issuer) => issuer.toUpperCase()],
  ['a question mark', (issuer) => `${issuer}?`],
  ['a blank', (issuer) => ` ${issuer}`],
  ['none', () => undefined],
])('a trusted issuer under another spelling is another issuer: %s', async ([, spell]) => {
  const iss = spell(party.provider.issuer)
  expectTokenRefusal(await party.present(await party.mint({ iss })), 'invalid_token')
  expect(party.provider.count('jwks')).toBe(0)
})

test.for<[string, () => Readonly<Record<string, unknown>>]>([
  ['jku', () => ({ jku: `${canary.url}/jwks` })],
  ['x5u', () => ({ x5u: `${canary.url}/cert.pem` })],
  ['jwk', () => ({ jwk: attackersJwk })],
  ['x5c', () => ({ x5c: ['MIIB'] })],
  ['kid as an address', () => ({ kid: `${canary.url}/jwks` })],
])('a key that comes with the token is not used: %s', async ([, header]) => {
  const token = await forge(party.provider.issuer, header())
  expectTokenRefusal(await party.present(token), 'invalid_token')
})

test('the genuine token passes, whatever address stands in its header', async () => {
  const token = await party.mint({}, { header: { jku: `${canary.url}/jwks` } })
  expect((await party.present(token)).status).toBe(200)
})
