import { describe, expect, test } from 'vitest'
import { nowSeconds } from '../support/bearers.ts'
import { APP } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({ OIDC_USERINFO: 'never' })
const A_YEAR_SECONDS = 365 * 86_400

describe('A84 aud, iss, exp, nbf, iat and sub at their edges', () => {
  test.for<[string, () => Record<string, unknown>]>([
    ['as the provider made it', () => ({})],
    ['exp with a fraction', () => ({ exp: nowSeconds() + 300.5 })],
    ['iat with a fraction', () => ({ iat: nowSeconds() - 1.5 })],
    ['exp 20 s ago, within the skew', () => ({ exp: nowSeconds() - 20 })],
    ['iat in 20 s, within the skew', () => ({ iat: nowSeconds() + 20 })],
    ['nbf in 20 s, within the skew', () => ({ nbf: nowSeconds() + 20 })],
    ['nbf in the past', () => ({ nbf: nowSeconds() - 60 })],
    ['exp in a year', () => ({ exp: nowSeconds() + A_YEAR_SECONDS })],
    ['aud as an array of one', () => ({ aud: ['vestibule'] })],
    ['azp of this client', () => ({ azp: 'vestibule' })],
    ['a further aud and azp of this client', () => ({ aud: ['vestibule', 'x'], azp: 'vestibule' })],
  ])('an ID token is accepted: %s', async ([, changes], { expect }) => {
    party.provider.tamperIdToken(changes())
    const { answer, identity } = await party.attempt()
    expect(answer).toMatchObject({ status: 302, location: `${APP}/` })
    expect(identity?.['x-auth-request-user']).toBe('alice')
  })

  test.for<[string, () => Record<string, unknown>]>([
    ['aud is missing', () => ({ aud: undefined })],
    ['aud is empty', () => ({ aud: '' })],
    ['aud is an empty array', () => ({ aud: [] })],
    ['aud is another client', () => ({ aud: 'other' })],
    ['aud is in another case', () => ({ aud: 'Vestibule' })],
    ['aud has a blank behind it', () => ({ aud: 'vestibule ' })],
    ['aud only begins with the client id', () => ({ aud: 'vestibule-admin' })],
    ['aud lists the client id inside a string', () => ({ aud: 'vestibule,other' })],
    ['aud is an object', () => ({ aud: { 0: 'vestibule' } })],
    ['aud is a nested array', () => ({ aud: [['vestibule']] })],
    ['aud has a further member and no azp', () => ({ aud: ['vestibule', 'other'] })],
    ['azp is another client', () => ({ aud: ['vestibule', 'other'], azp: 'other' })],
    ['azp is another client beside a single aud', () => ({ azp: 'other' })],
    ['iss is missing', () => ({ iss: undefined })],
    ['iss has a slash more', () => ({ iss: `${party.provider.issuer}/` })],
    ['iss is in capitals', () => ({ iss: party.provider.issuer.toUpperCase() })],
    ['iss is another', () => ({ iss: 'https://evil.example' })],
    ['iss is an array', () => ({ iss: [party.provider.issuer] })],
    ['exp is missing', () => ({ exp: undefined })],
    ['exp is text', () => ({ exp: String(nowSeconds() + 300) })],
    ['exp is 1e300', () => ({ exp: 1e300 })],
    ['exp is the largest safe integer', () => ({ exp: Number.MAX_SAFE_INTEGER })],
    ['exp is in eleven years', () => ({ exp: nowSeconds() + 11 * A_YEAR_SECONDS })],
    ['exp is null', () => ({ exp: null })],
    ['exp is -1', () => ({ exp: -1 })],
    ['exp is 0', () => ({ exp: 0 })],
    ['exp was two minutes ago', () => ({ exp: nowSeconds() - 120 })],
    ['nbf is in two minutes', () => ({ nbf: nowSeconds() + 120 })],
    ['nbf is text', () => ({ nbf: 'now' })],
    ['iat is missing', () => ({ iat: undefined })],
    ['iat is text', () => ({ iat: String(nowSeconds()) })],
    ['iat is in two minutes', () => ({ iat: nowSeconds() + 120 })],
    [
      'iat is in the far future, with exp behind it',
      () => ({ iat: 1e299, exp: nowSeconds() + 300 }),
    ],
    ['iat was an hour ago', () => ({ iat: nowSeconds() - 3600 })],
    ['iat is -1', () => ({ iat: -1 })],
    ['sub is missing', () => ({ sub: undefined })],
    ['sub is empty', () => ({ sub: '' })],
    ['sub is a number', () => ({ sub: 42 })],
    ['sub is an array', () => ({ sub: ['alice'] })],
    ['sub is null', () => ({ sub: null })],
    ['nonce is missing', () => ({ nonce: undefined })],
    ['nonce is another', () => ({ nonce: 'not the nonce of this login' })],
    ['nonce is an array', () => ({ nonce: ['a'] })],
  ])('an ID token is refused: %s', async ([, changes]) => {
    party.provider.tamperIdToken(changes())
    // 502 where the token is no usable JWT at all, which is a fault of the provider.
    await party.expectNoSignIn([400, 502])
  })

  test('after all of them the service still signs people in', async () =>
    expect((await party.attempt()).isSignedIn).toBe(true))
})
