import { UnsecuredJWT } from 'jose'
import { beforeEach, expect, test } from 'vitest'
import { AUDIENCE, bearerRule, expectTokenRefusal } from '../support/bearers.ts'
import { takeTime } from '../support/passing-time.ts'
import {
  breakSignature,
  type ClaimChanges,
  claimsOf,
  type Signer,
  type SignOptions,
} from '../support/tokens.ts'
import { useBearerParty } from '../support/used-party.ts'

const time = takeTime()
const party = useBearerParty([
  bearerRule('/api/**'),
  bearerRule('/jwt/**', { tokenType: 'jwt' }),
  // A rule that names the client id, which an ID token must not open either.
  bearerRule('/client/**', { audiences: ['vestibule'] }),
])

/** Ends the pause between two fetches of the keys, for which a forged token would wait. */
const endCooldown = () => time.pass(1000)
beforeEach(endCooldown)

async function expectRefusedEverywhere(token: unknown): Promise<void> {
  for (const uri of ['/api/', '/jwt/', '/client/']) {
    endCooldown()
    expectTokenRefusal(await party.present(String(token), { uri }), 'invalid_token')
  }
}

function relabel(token: string, header: Readonly<Record<string, unknown>>): string {
  const [, payload, signature] = token.split('.')
  return [Buffer.from(JSON.stringify(header)).toString('base64url'), payload, signature].join('.')
}

const typ = 'at+jwt'
const SIGNERS: readonly Signer[] = ['none', 'public-key-as-secret', 'stranger', 'unknown-kid']
const FORGERIES: readonly (readonly [string, (token: string) => string])[] = [
  ['none and no signature', (token) => relabel(token, { alg: 'none' }).replace(/[^.]*$/, '')],
  ['no alg', (token) => relabel(token, { typ })],
  ['alg that is no text', (token) => relabel(token, { alg: ['RS256'], typ })],
  ...['none', 'None', 'HS256', 'PS256', 'ES256', 'RSA1_5'].map(
    (alg) =>
      [`${alg} for a signature by RS256`, (token: string) => relabel(token, { alg, typ })] as const,
  ),

  ['one bit turned', breakSignature],
  ['no signature', (token) => token.replace(/[^.]*$/, '')],
]

test('A80: the genuine token passes, by either key of the provider', async () => {
  expect((await party.present(await party.mint())).status).toBe(200)
  expect((await party.present(await party.mint({}, { as: 'provider-es256' }))).status).toBe(200)
})

test.for(SIGNERS)('A80: a bearer signed by %s is refused', async (as) =>
  expectRefusedEverywhere(await party.mint({}, { as })),
)

test.for(FORGERIES)('A80: a bearer that is forged is refused: %s', async ([, forge]) =>
  expectRefusedEverywhere(forge(await party.mint())),
)

test.for(SIGNERS)('A80: an ID token signed by %s makes no session', async (as) => {
  party.provider.tamperIdToken({}, { as })
  await party.expectNoSignIn([400])
})

test.for([
  ...FORGERIES,
  ['jose’s own unsecured token', (token: string) => new UnsecuredJWT(claimsOf(token)).encode()],
] as const)('A80: an ID token that is forged makes no session: %s', async ([, forge]) => {
  party.replaceIdToken(forge)
  await party.expectNoSignIn()
})

const MADE_TYPES = 'at+jwt AT+JWT application/at+jwt logout+jwt dpop+jwt secevent+jwt'.split(' ')
const NOT_ID_TOKENS: readonly unknown[] = [
  ...MADE_TYPES,
  'token-introspection+jwt',
  'JWT ',
  'JWE',
  '',
  42,
  ['JWT'],
  null,
]
const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }

test.for([
  ['JWT', { typ: 'JWT' }],
  ['jwt', { typ: 'jwt' }],
  ['none', {}],
] as const)('A83: an ID token may have the type: %s', async ([, header]) => {
  party.provider.tamperIdToken({}, { header })
  expect((await party.attempt()).isSignedIn).toBe(true)
})

test.for(NOT_ID_TOKENS.map((typ) => ({ typ })))(
  'A83: no ID token is of type %j',
  async (header) => {
    party.provider.tamperIdToken({}, { header })
    await party.expectNoSignIn()
  },
)

test.for([{ events }, { events, nonce: undefined }])(
  'A83: are no ID token: %o',
  async (changes) => {
    party.provider.tamperIdToken(changes, { header: { typ: 'logout+jwt' } })
    await party.expectNoSignIn([400])
  },
)

test.for<[string, () => Promise<string>]>([
  ['a logout token', () => party.provider.mintLogoutToken()],
  ['an ID token without a nonce', () => party.provider.mintIdToken()],
  ['one with a foreign nonce', () => party.provider.mintIdToken({ nonce: 'of another login' })],
])('A83: %s that was minted for no login makes no session', async ([, mint]) => {
  party.replaceIdToken(mint)
  await party.expectNoSignIn([400])
})

test.for<[string, (token: string, body: Record<string, unknown>) => unknown]>([
  ['the opaque access token', (_, body) => body['access_token']],
  ['a number', () => 42],
  ['an object', (token) => ({ token })],
  ['a list', (token) => [token]],
  ['an empty text', () => ''],
  ['nothing', () => undefined],
  ['null', () => null],
])('A83: a value in place of the ID token makes no session: %s', async ([, replace]) => {
  party.replaceIdToken(replace)
  await party.expectNoSignIn()
})

test('A83: neither ID token nor access token nor logout token opens the check', async () => {
  const answers = party.recordTokens()
  const { browser } = await party.attempt()
  const { id_token: idToken, access_token: accessToken } = answers[0] ?? {}
  expect(claimsOf(String(idToken)).sub).toBe('alice')
  for (const token of [idToken, accessToken, await party.provider.mintLogoutToken()]) {
    const asBearer = await party.check({}, { Authorization: `Bearer ${String(token)}` })
    const asCookie = await party.userOf(`__Host-vestibule=${String(token)}`)
    const inQuery = await party.check({ uri: `/?access_token=${String(token)}` })
    expect([asBearer.status, asCookie, inQuery.status]).toEqual([302, 302, 302])
    expect(asBearer.setCookies).toEqual([])
  }
  expect(await party.userOf(browser)).toBe('alice')
})

test('A83: the ID token and the access token of a real sign-in are none', async () => {
  const answers = party.recordTokens()
  expect((await party.attempt()).isSignedIn).toBe(true)
  for (const name of ['id_token', 'access_token']) {
    expect(answers[0]?.[name]).toBeTypeOf('string')
    await expectRefusedEverywhere(answers[0]?.[name])
  }
})

test.for<[string, ClaimChanges, SignOptions['header']]>([
  ['an ID token', { aud: 'vestibule', nonce: 'n' }, { typ: 'JWT' }],
  ['an ID token without nonce', { aud: 'vestibule' }, { typ: 'JWT' }],
  ['an ID token without typ', { aud: ['vestibule', AUDIENCE] }, { typ: undefined }],
  ['a logout token', { aud: ['vestibule', AUDIENCE] }, { typ: 'logout+jwt' }],
  ['a proof', {}, { typ: 'dpop+jwt' }],
  ['a secevent', {}, { typ: 'secevent+jwt' }],
  ['an introspection answer', {}, { typ: 'token-introspection+jwt' }],
  ['a request object', {}, { typ: 'oauth-authz-req+jwt' }],
  ['a client assertion', {}, { typ: 'client-authentication+jwt' }],
  ['another media type', {}, { typ: 'text/at+jwt' }],
  ['a typ that goes on', {}, { typ: 'at+jwt; x=y' }],
  ['an empty typ', {}, { typ: '' }],
])('A83: %s is none, whoever signed it', async ([, changes, header = {}]) => {
  const claims = { aud: [AUDIENCE, 'vestibule'], ...changes }
  await expectRefusedEverywhere(await party.mint(claims, { header }))
})

test.for([{}, { aud: [AUDIENCE, 'vestibule'] }])(
  'a logout token as the provider makes it is none: %j',
  async (changes) => expectRefusedEverywhere(await party.provider.mintLogoutToken(changes)),
)

test('A83: a bearer is no session cookie', async () =>
  expect(await party.userOf(`__Host-vestibule=${await party.mint()}`)).toBe(302))
