import { describe, expect, test } from 'vitest'
import { AUDIENCE, bearerRule, expectTokenRefusal } from '../support/bearers.ts'
import type { ClaimChanges, SignOptions } from '../support/tokens.ts'
import { useBearerParty } from '../support/used-party.ts'

const party = useBearerParty([
  bearerRule('/api/**'),
  bearerRule('/jwt/**', { tokenType: 'jwt' }),
  // A rule that names the client id, which an ID token must not open either.
  bearerRule('/client/**', { audiences: ['vestibule'] }),
])

async function expectRefusedEverywhere(token: unknown): Promise<void> {
  for (const uri of ['/api/', '/jwt/', '/client/']) {
    expectTokenRefusal(await party.present(String(token), { uri }), 'invalid_token')
  }
}

describe('A83 tokens of another type as bearer', () => {
  test('the ID token and the access token of a real sign-in are none', async () => {
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
  ])('%s is none, whoever signed it', async ([, changes, header = {}]) => {
    const claims = { aud: [AUDIENCE, 'vestibule'], ...changes }
    await expectRefusedEverywhere(await party.mint(claims, { header }))
  })

  test.for([{}, { aud: [AUDIENCE, 'vestibule'] }])(
    'a logout token as the provider makes it is none: %j',
    async (changes) => expectRefusedEverywhere(await party.provider.mintLogoutToken(changes)),
  )

  test('a bearer is no session cookie', async () =>
    expect(await party.userOf(`__Host-vestibule=${await party.mint()}`)).toBe(302))
})
