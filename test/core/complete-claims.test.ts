import { expect, test } from 'vitest'
import { completeClaims } from '../../src/core/complete-claims.ts'
import { ignoredClaims, toIdentity } from '../../src/core/read-identity.ts'

const A = 'a@example.com'
const B = 'b@example.com'
const verified = { email_verified: true }
const unverified = { email_verified: false }
const options = { groupsClaim: 'groups', emailClaim: 'email', trustEmail: false, claims: [] }

type Given = Readonly<Record<string, unknown>>

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
])('C6: %s', ([, idToken, userInfo, email]) => {
  const claims = completeClaims(
    { iss: 'i', sub: 's', groups: [], ...idToken },
    { sub: 's', ...userInfo },
  )
  expect(toIdentity(claims, options).email).toBe(email)
  const reason = claims['email'] === undefined ? 'no such claim' : 'not verified'
  expect(ignoredClaims(claims, options)).toEqual(email === undefined ? [`email: ${reason}`] : [])
})

test('C6: nor does a telephone number count by what was said of another one', () => {
  const userInfo = { phone_number: '+2', name: 'Alice' }
  expect(completeClaims({ phone_number_verified: true }, userInfo)).toEqual(userInfo)
})

test('C6: UserInfo says nothing about the ID token itself', () => {
  const ofToken = { jti: 'x', sid: 'x', nonce: 'x', exp: 1, iss: 'x', aud: 'x' }
  expect(completeClaims({ iss: 'i', exp: 2 }, { ...ofToken, name: 'Alice' })).toEqual({
    iss: 'i',
    exp: 2,
    name: 'Alice',
  })
})
