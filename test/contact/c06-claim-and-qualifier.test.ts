import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { completeClaims } from '../../src/core/complete-claims.ts'
import { ignoredClaims, toIdentity } from '../../src/core/identity.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'

const A = 'a@example.com'
const B = 'b@example.com'
const verified = { email_verified: true }
const unverified = { email_verified: false }
const options = { groupsClaim: 'groups', trustEmail: false, headers: [] }

type Given = Readonly<Record<string, unknown>>

describe('C6: a claim and its qualifier come from one source', () => {
  test.for<[string, Given, Given, string | undefined]>([
    ['an ID token that verifies nothing', verified, { email: B }, undefined],
    ['and UserInfo says that it is not', verified, { email: B, ...unverified }, undefined],
    ['verified as text', { email_verified: 'true' }, { email: B }, undefined],
    ['an empty address', { email: '', ...verified }, { email: B }, undefined],
    ['no address', { email: null, ...verified }, { email: B }, undefined],
    ['UserInfo verifies another one', { email: A }, { email: B, ...verified }, undefined],
    ['UserInfo verifies no address', { email: A }, verified, undefined],
    ['another spelling', { email: A }, { email: A.toUpperCase(), ...verified }, undefined],
    ['the ID token denies it', { email: A, ...unverified }, { email: A, ...verified }, undefined],
    ['the ID token alone', { email: A, ...verified }, {}, A],
    ['whatever UserInfo says', { email: A, ...verified }, { email: B, ...unverified }, A],
    ['UserInfo alone', unverified, { email: B, ...verified }, B],
    ['UserInfo alone, as text', {}, { email: B, email_verified: 'true' }, B],
    ['where the ID token has it empty', { email: '' }, { email: B, ...verified }, B],
    ['of the same address', { email: A }, { email: A, ...verified }, A],
    ['null says nothing', { email: A, email_verified: null }, { email: A, ...verified }, A],
  ])('C6: %s', ([, idToken, userInfo, email], { expect }) => {
    const claims = completeClaims({ iss: 'i', sub: 's', ...idToken }, { sub: 's', ...userInfo })
    expect(toIdentity(claims, options).email).toBe(email)
    const isIgnored = claims['email'] !== undefined && email === undefined
    expect(ignoredClaims(claims, options)).toEqual(isIgnored ? ['email: not verified'] : [])
  })

  test('C6: nor does a telephone number count by what was said of another one', () => {
    const userInfo = { phone_number: '+2', name: 'Alice' }
    const claims = completeClaims({ phone_number_verified: true }, userInfo)
    expect(claims).toEqual(userInfo)
  })

  test('C6: UserInfo says nothing about the ID token itself', () => {
    const ofToken = { jti: 'x', sid: 'x', nonce: 'x', exp: 1, iss: 'x', aud: 'x' }
    expect(completeClaims({ iss: 'i', exp: 2 }, { ...ofToken, name: 'Alice' })).toEqual({
      iss: 'i',
      exp: 2,
      name: 'Alice',
    })
  })
})

describe('C6: at sign-in and refresh', () => {
  let party: RelyingParty

  beforeAll(async () => {
    party = await startRelyingParty({
      ALLOW_ANY_USER: 'false',
      ALLOWED_EMAIL_DOMAINS: 'example.com',
      // A check waits for the refresh of a token that it gives to apps.
      PASS_ACCESS_TOKEN: 'true',
    })
  })
  afterAll(() => party[Symbol.asyncDispose]())

  const signIn = async (idToken: Given, userInfo: Given) => {
    const { provider, vestibule } = party
    provider.tamperIdToken({ email: undefined, email_verified: undefined, ...idToken })
    provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, ...userInfo }) })
    const { browser } = await party.attempt()
    const cookie = browser.cookies.header(new URL(APP))
    expect(cookie).toContain('__Host-vestibule=')
    const lines = () => vestibule.log().filter(({ event }) => event === 'sign_in')
    const { status } = await vestibule.check({}, { Cookie: cookie })
    return { status, line: lines().at(-1) }
  }

  test('C6: an address of UserInfo is not let in by a verification of the ID token', async () => {
    const { status, line } = await signIn(verified, { email: B })
    expect(status).toBe(403)
    expect(line).toMatchObject({ ignored: ['email: not verified'] })
    expect(party.vestibule.output()).not.toContain(B)
  })

  test('C6: and is by one of its own', async () => {
    const { status, line } = await signIn(unverified, { email: B, ...verified })
    expect(status).toBe(200)
    expect(line).not.toHaveProperty('ignored')
  })
  test('C6: a refreshed ID token without an address verifies none of UserInfo', async () => {
    const { provider, vestibule } = party
    provider.reset()
    provider.set('token', { rewrite: (body) => ({ ...body, expires_in: 0 }) })
    const { browser } = await party.attempt()
    provider.tamperIdToken({ email: undefined, ...verified })
    provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, email: B }) })
    const Cookie = browser.cookies.header(new URL(APP))
    await expect.poll(async () => (await vestibule.check({}, { Cookie })).status).toBe(403)
  })
})
