import { describe, expect, test } from 'vitest'
import { claimsOf } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty()
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

describe('A83 token type confusion', () => {
  test.for([
    ['JWT', { typ: 'JWT' }],
    ['jwt', { typ: 'jwt' }],
    ['none', {}],
  ] as const)('an ID token may have the type: %s', async ([, header], { expect }) => {
    party.provider.tamperIdToken({}, { header })
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test.for(NOT_ID_TOKENS.map((typ) => ({ typ })))('no ID token is of type %j', async (header) => {
    party.provider.tamperIdToken({}, { header })
    await party.expectNoSignIn()
  })

  test.for([{ events }, { events, nonce: undefined }])('are no ID token: %o', async (changes) => {
    party.provider.tamperIdToken(changes, { header: { typ: 'logout+jwt' } })
    await party.expectNoSignIn([400])
  })

  test.for<[string, () => Promise<string>]>([
    ['a logout token', () => party.provider.mintLogoutToken()],
    ['an ID token without a nonce', () => party.provider.mintIdToken()],
    ['one with a foreign nonce', () => party.provider.mintIdToken({ nonce: 'of another login' })],
  ])('%s that was minted for no login makes no session', async ([, mint]) => {
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
  ])('a value in place of the ID token makes no session: %s', async ([, replace]) => {
    party.replaceIdToken(replace)
    await party.expectNoSignIn()
  })

  test('neither ID token nor access token nor logout token opens the check', async () => {
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
})
