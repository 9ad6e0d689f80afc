import { describe, expect, test } from 'vitest'
import { usableMetadata } from '../../src/oidc/discovery/metadata.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'
import { rows, words } from '../support/words.ts'

const party = useParty({ ALLOW_ANY_USER: 'false', ALLOWED_GROUPS: 'staff' })

const EMPTY = [null, '']
const claims = words`
  azp auth_time nbf acr amr jti sid at_hash name email address groups realm_access email_verified
`

describe('C21 empty members', () => {
  test.for(EMPTY)('optional claims that are %j are absent', async (none) => {
    const { provider } = party
    const inIdToken = Object.fromEntries(claims.map((name) => [name, none]))
    provider.tamperIdToken(inIdToken)
    const first = await party.attempt('alice')
    const second = await party.attempt('bob')
    expect([first.isSignedIn, second.isSignedIn]).toEqual([true, true])
    // From UserInfo, which was asked because the ID token says nothing.
    expect(second.identity).toMatchObject({ 'x-auth-request-email': 'bob@example.com' })
    await first.browser.post(`${APP}/oauth2/logout`, {}, { headers: { Origin: APP } })
    expect(await party.userOf(second.browser)).toBe('bob')
  })

  test.for(EMPTY)('optional members of a token answer that are %j are absent', async (none) => {
    const odd = { refresh_token: none, scope: none, expires_in: none, refresh_expires_in: none }
    party.provider.set('token', { rewrite: (body) => ({ ...body, ...odd }) })
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test('a scope that is a list is not read', async () => {
    party.provider.set('token', { rewrite: (body) => ({ ...body, scope: ['openid', 'email'] }) })
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test.for([
    ...rows`nonce sub iss aud exp iat`('claim'),
    ...rows`access_token token_type id_token`('token'),
  ])('%s is needed, and empty is missing', async ([name, where]) => {
    for (const none of EMPTY) {
      if (where === 'claim') party.provider.tamperIdToken({ [name]: none })
      else party.provider.set('token', { rewrite: (body) => ({ ...body, [name]: none }) })
      await party.expectNoSignIn()
    }
  })

  test.for(EMPTY)('a sub of UserInfo that is %j leaves UserInfo out', async (none) => {
    party.provider.set('userinfo', { rewrite: (body) => ({ ...body, sub: none }) })
    const { browser } = await party.attempt()
    expect(await party.userOf(browser)).toBe(403)
    expect(party.vestibule.log().findLast(({ event }) => event === 'sign_in')).toMatchObject({
      ignored: expect.arrayContaining(['userinfo: unreadable: no sub']) as unknown,
    })
  })

  test('a member under which we keep the received ID token is not taken from the provider', async () => {
    const forged = await party.provider.mintIdToken({ nonce: 'x', groups: ['staff'], sub: 'eve' })
    const rewrite = (body: object) => ({ ...body, vestibule_received_id_token: forged })
    party.provider.set('token', { rewrite })
    expect((await party.attempt('bob')).identity).toMatchObject({ 'x-auth-request-user': 'bob' })
  })
})

describe('C21 metadata', () => {
  test.for<[string, object]>([
    ['algorithms', { id_token_signing_alg_values_supported: EMPTY }],
    ['one algorithm, no list', { id_token_signing_alg_values_supported: 'RS256' }],
    ['methods', { token_endpoint_auth_methods_supported: EMPTY }],
    ['one method, no list', { token_endpoint_auth_methods_supported: 'client_secret_post' }],
  ])('a list of empty members, or none, says nothing wrong: %s', async ([, odd]) => {
    await using fresh = await startRelyingParty({}, {}, ({ set }) =>
      set('discovery', { rewrite: (metadata) => ({ ...metadata, ...odd }) }),
    )
    expect((await fresh.attempt()).isSignedIn).toBe(true)
  })

  test('optional members that are empty or unusable do not stop the sign-in', async () => {
    const odd = {
      ...Object.fromEntries(
        words`revocation_endpoint scopes_supported`.map((name) => [name, null]),
      ),
      claims_supported: '',
      id_token_signing_alg_values_supported: [],
      authorization_response_iss_parameter_supported: 'false',
      end_session_endpoint: '/session/end',
      userinfo_endpoint: 'https://10.0.0.1/me',
    }
    await using fresh = await startRelyingParty({}, {}, ({ set }) =>
      set('discovery', { rewrite: (metadata) => ({ ...metadata, ...odd }) }),
    )
    expect((await fresh.attempt()).isSignedIn).toBe(true)
    const about = fresh.vestibule.log().filter(({ event }) => event === 'provider_finding')
    expect(about.map(({ reason }) => reason)).toEqual([
      "userinfo_endpoint is at an address other than the issuer's (https://10.0.0.1/me) and counts as absent",
      'end_session_endpoint is not a usable URL (no web address) and counts as absent',
    ])
  })

  const issuer = 'https://id.example.com'
  const sound = {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
  }
  test.for<[string, object, RegExp]>([
    ['no token endpoint', { token_endpoint: undefined }, /^token_endpoint .* is missing$/],
    ['keys over http', { jwks_uri: 'http://id.example.com/jwks' }, /^jwks_uri .* is not https$/],
  ])('what is needed and lacks is refused with its cause: %s', ([, changes, cause]) =>
    expect(() =>
      usableMetadata({ ...sound, ...changes }, { issuerUrl: issuer, use: 'sign-in' }),
    ).toThrow(cause),
  )
})
