import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  AUDIENCE,
  type BearerParty,
  bearerRule,
  expectTokenRefusal,
  startBearerParty,
} from '../support/bearers.ts'
import type { ClaimChanges, SignOptions } from '../support/tokens.ts'

let party: BearerParty

beforeAll(async () => {
  party = await startBearerParty([
    bearerRule('/api/**'),
    bearerRule('/jwt/**', { tokenType: 'jwt' }),
    // Somebody who names the client id all the same: an ID token must not open this either.
    bearerRule('/client/**', { audiences: ['vestibule'] }),
  ])
})
afterAll(() => party[Symbol.asyncDispose]())

const everywhere = async (token: string): Promise<void> => {
  for (const uri of ['/api/', '/jwt/', '/client/']) {
    expectTokenRefusal(await party.present(token, { uri }), 'invalid_token')
  }
}

describe('A83 tokens of another type as bearer', () => {
  test('the ID token and the access token of a real sign-in are none', async () => {
    let seen: Record<string, unknown> = {}
    party.provider.set('token', {
      rewrite: (body) => {
        seen = body
        return body
      },
    })
    expect((await party.attempt()).isSignedIn).toBe(true)
    await everywhere(String(seen['id_token']))
    await everywhere(String(seen['access_token']))
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
  ])('%s is none, whoever signed it', async ([, changes, header], { expect }) => {
    const token = await party.mint(
      { aud: [AUDIENCE, 'vestibule'], ...changes },
      { header: header ?? {} },
    )
    await everywhere(token)
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test('a logout token as the provider makes it is none', async () => {
    await everywhere(await party.provider.mintLogoutToken())
    await everywhere(await party.provider.mintLogoutToken({ aud: [AUDIENCE, 'vestibule'] }))
  })

  test('a bearer is no session cookie', async () => {
    const token = await party.mint()
    expect((await party.vestibule.check({}, { Cookie: `__Host-vestibule=${token}` })).status).toBe(
      302,
    )
  })
})
