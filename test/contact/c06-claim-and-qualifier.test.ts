import { expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'

const B = 'b@example.com'
const verified = { email_verified: true }
const unverified = { email_verified: false }

type Given = Readonly<Record<string, unknown>>

const party = useParty({
  ALLOW_ANY_USER: 'false',
  ALLOWED_EMAIL_DOMAINS: 'example.com',
  // A check waits for the refresh of a token that it gives to apps.
  PASS_ACCESS_TOKEN: 'true',
})

const signIn = async (idToken: Given, userInfo: Given) => {
  const { provider, vestibule } = party
  provider.tamperIdToken({ email: undefined, email_verified: undefined, ...idToken })
  provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, groups: [], ...userInfo }) })
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

test('C6: an address of UserInfo that UserInfo verifies is accepted', async () => {
  const { status, line } = await signIn(unverified, { email: B, ...verified })
  expect(status).toBe(200)
  expect(line).not.toHaveProperty('ignored')
})
test('C6: a refreshed ID token without an address verifies none of UserInfo', async () => {
  const { provider, vestibule } = party
  provider.set('token', { rewrite: (body) => ({ ...body, expires_in: 0 }) })
  const { browser } = await party.attempt()
  provider.tamperIdToken({ email: undefined, ...verified })
  provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, email: B }) })
  const Cookie = browser.cookies.header(new URL(APP))
  await expect.poll(async () => (await vestibule.check({}, { Cookie })).status).toBe(403)
})
