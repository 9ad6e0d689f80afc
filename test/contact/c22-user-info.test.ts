import { describe, expect, test } from 'vitest'
import { type Behaviour, faults } from '../support/provider.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { SESSION_COOKIE } from '../support/sign-in-steps.ts'
import type { SignOptions } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({ ALLOW_ANY_USER: 'false', ALLOWED_GROUPS: 'staff,signed' })
const always = useParty({ OIDC_USERINFO: 'always' })

/** All that rules need, while a header asks for more. */
const enough = { groups: ['staff'], email: 'alice@example.com', email_verified: true }

const lastSignIn = () => party.vestibule.log().findLast(({ event }) => event === 'sign_in')

const challenge = { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="profile"' }
const refusals: readonly [Behaviour, string][] = [
  ...[400, 401, 403, 404, 408, 425, 429].map((status): [Behaviour, string] => [
    { status, body: '' },
    `refused (${status})`,
  ]),
  [{ status: 403, headers: challenge, body: '' }, 'refused (403, insufficient_scope)'],
  [{ status: 204, body: '' }, 'refused (204)'],
  [faults.html, 'unreadable'],
  [faults.truncatedJson, 'unreadable'],
  [faults.notAnObject, 'unreadable: '],
  [faults.emptyObject, 'unreadable: no sub'],
  [faults.tenMegabytes, 'unreadable'],
  [
    { ...faults.emptyObject, headers: { 'Content-Encoding': 'br' } },
    'unreadable: the answer is encoded (br)',
  ],
]

describe('C22 UserInfo', () => {
  test.for(refusals)('that refuses is left out and said: %j', async ([behaviour, reason]) => {
    party.provider.tamperIdToken(enough)
    party.provider.set('userinfo', behaviour)
    const { isSignedIn, identity } = await party.attempt()
    expect(isSignedIn).toBe(true)
    expect(identity).toMatchObject({ 'x-auth-request-groups': 'staff' })
    const { ignored } = lastSignIn() as unknown as { ignored: readonly string[] }
    expect(ignored).toEqual([expect.stringContaining(`userinfo: ${reason}`)])
  })

  test.for<Behaviour>([faults.serverError, faults.unavailable, faults.down])(
    'that fails makes no session, and the sign-in may begin anew: %j',
    async (behaviour) => {
      party.provider.set('userinfo', behaviour)
      const { answer, browser } = await party.attempt()
      expect([answer.status, browser.cookies.find(SESSION_COOKIE)]).toEqual([503, undefined])
      expect(answer.headers['retry-after']).toBeDefined()
      party.provider.reset()
      expect((await browser.signIn(`${APP}/oauth2/login?rd=/`, 'alice')).status).toBeLessThan(500)
    },
  )

  test('that is of another user refuses the sign-in (A35)', async () => {
    party.provider.set('userinfo', { rewrite: (body) => ({ ...body, sub: 'bob' }) })
    await party.expectNoSignIn([400])
  })

  test('that refuses with OIDC_USERINFO=always is a fault with its cause', async () => {
    always.provider.set('userinfo', { status: 403, headers: challenge, body: '' })
    await always.expectNoSignIn([502])
    expect(always.vestibule.log().findLast(({ event }) => event === 'refused')).toMatchObject({
      reason: 'the provider: UserInfo refused (403, insufficient_scope)',
      endpoint: 'userinfo_endpoint',
      url: `${always.provider.issuer}/me`,
      http_status: 403,
      setting: 'OIDC_USERINFO',
    })
  })
})

describe('C71 signed UserInfo', () => {
  type Case = readonly [string, Readonly<Record<string, unknown>>, SignOptions?]
  const answer = async ([, changes, how]: Case) => {
    const jwt = await party.provider.sign({ sub: 'alice', groups: ['signed'], ...changes }, how)
    const headers = { 'Content-Type': 'application/jwt; charset=utf-8' }
    party.provider.set('userinfo', { status: 200, headers, body: jwt })
    const { browser } = await party.attempt()
    return [await party.userOf(browser), JSON.stringify(lastSignIn())]
  }

  test.for<Case>([
    ['without issuer and audience', {}],
    [
      'with both, and empty claims',
      { iss: undefined, aud: ['vestibule', 'x'], nbf: null, exp: '' },
    ],
    ['with another key of the provider', {}, { as: 'provider-es256' }],
  ])('is read %s', async (each) => {
    expect((await answer(each))[0]).toBe('alice')
  })

  test.for<Case>([
    ['not signed', {}, { as: 'none' }],
    ['signed by a stranger', {}, { as: 'stranger' }],
    ['signed by an unknown key', {}, { as: 'unknown-kid' }],
    ['signed with the public key as a secret', {}, { as: 'public-key-as-secret' }],
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'other' }],
    ['expired', { exp: 1 }],
    ['without sub', { sub: null }],
  ])('is left out and said where it is %s', async (each) => {
    const [user, line] = await answer(each)
    expect([user, line]).toEqual([403, expect.stringContaining('userinfo: unreadable: ')])
  })

  test('is read with an algorithm that the metadata list for it alone', async () => {
    const listed = {
      id_token_signing_alg_values_supported: ['RS256'],
      userinfo_signing_alg_values_supported: ['ES256'],
    }
    await using fresh = await startRelyingParty({}, {}, ({ set }) =>
      set('discovery', { rewrite: (metadata) => ({ ...metadata, ...listed }) }),
    )
    const body = await fresh.provider.sign(
      { sub: 'alice', groups: ['signed'] },
      { as: 'provider-es256' },
    )
    const headers = { 'Content-Type': 'application/jwt' }
    fresh.provider.set('userinfo', { status: 200, headers, body })
    expect((await fresh.attempt()).identity).toMatchObject({ 'x-auth-request-groups': 'signed' })
  })

  test('of another user refuses the sign-in', async () => {
    const body = await party.provider.sign({ sub: 'bob', groups: ['signed'] })
    const headers = { 'Content-Type': 'application/jwt' }
    party.provider.set('userinfo', { status: 200, headers, body })
    await party.expectNoSignIn([400])
  })

  test('that is encrypted is left out', async () => {
    const headers = { 'Content-Type': 'application/jwt' }
    party.provider.set('userinfo', { status: 200, headers, body: 'a.b.c.d.e' })
    const { browser } = await party.attempt()
    expect(await party.userOf(browser)).toBe(403)
    expect(lastSignIn()).toMatchObject({
      ignored: expect.arrayContaining(['userinfo: unreadable: encrypted']) as unknown,
    })
  })
})
