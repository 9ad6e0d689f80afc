import { UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type BearerParty,
  bearerRule,
  expectTokenRefusal,
  startBearerParty,
} from '../support/bearers.ts'
import { breakSignature, claimsOf, type SignOptions } from '../support/tokens.ts'

let party: BearerParty

beforeAll(async () => {
  party = await startBearerParty([
    bearerRule('/api/**'),
    bearerRule('/jwt/**', { tokenType: 'jwt' }),
  ])
})
afterAll(() => party[Symbol.asyncDispose]())

/** Headers by hand: jose would not make such a token. */
const relabel = (token: string, header: Readonly<Record<string, unknown>>): string => {
  const [, payload, signature] = token.split('.')
  return [Buffer.from(JSON.stringify(header)).toString('base64url'), payload, signature].join('.')
}

const SIGNERS: readonly SignOptions['as'][] = [
  'none',
  'public-key-as-secret',
  'stranger',
  'unknown-kid',
]

const FORGERIES: readonly (readonly [string, (token: string) => string])[] = [
  ['none and no signature', (token) => relabel(token, { alg: 'none' }).replace(/[^.]*$/, '')],
  ['none and a signature', (token) => relabel(token, { alg: 'none', typ: 'at+jwt' })],
  ['None', (token) => relabel(token, { alg: 'None', typ: 'at+jwt' })],
  ['no alg', (token) => relabel(token, { typ: 'at+jwt' })],
  ['alg that is no text', (token) => relabel(token, { alg: ['RS256'], typ: 'at+jwt' })],
  ['HS256', (token) => relabel(token, { alg: 'HS256', typ: 'at+jwt' })],
  ['PS256 for a signature by RS256', (token) => relabel(token, { alg: 'PS256', typ: 'at+jwt' })],
  ['ES256 for a signature by RS256', (token) => relabel(token, { alg: 'ES256', typ: 'at+jwt' })],
  ['RSA1_5', (token) => relabel(token, { alg: 'RSA1_5', typ: 'at+jwt' })],
  ['one bit turned', breakSignature],
  ['no signature', (token) => token.replace(/[^.]*$/, '')],
]

describe('A80 alg none, HS/RS confusion and algorithms nobody asked for', () => {
  test('the genuine token passes, by either key of the provider', async () => {
    expect((await party.present(await party.mint())).status).toBe(200)
    const token = await party.mint({}, { as: 'provider-es256' })
    expect((await party.present(token)).status).toBe(200)
  })

  test.for(SIGNERS)('a bearer signed by %s is refused', async (as) => {
    const token = await party.mint({}, { as: as as NonNullable<typeof as> })
    for (const uri of ['/api/', '/jwt/']) {
      expectTokenRefusal(await party.present(token, { uri }), 'invalid_token')
    }
  })

  test.for(FORGERIES)('a bearer that is forged is refused: %s', async ([, forge]) => {
    const token = forge(await party.mint())
    for (const uri of ['/api/', '/jwt/']) {
      expectTokenRefusal(await party.present(token, { uri }), 'invalid_token')
    }
  })

  test.for(SIGNERS)('an ID token signed by %s makes no session', async (as) => {
    party.provider.tamperIdToken({}, { as: as as NonNullable<typeof as> })
    const { answer, isSignedIn } = await party.attempt()
    expect({ status: answer.status, isSignedIn }).toEqual({ status: 400, isSignedIn: false })
  })

  test.for([
    ...FORGERIES,
    ['jose’s own unsecured token', (token: string) => new UnsecuredJWT(claimsOf(token)).encode()],
  ] as const)('an ID token that is forged makes no session: %s', async ([, forge]) => {
    party.provider.set('token', {
      rewrite: (body) => ({ ...body, id_token: forge(String(body['id_token'])) }),
    })
    const { answer, isSignedIn } = await party.attempt()
    expect([400, 502]).toContain(answer.status)
    expect(isSignedIn).toBe(false)
  })

  test('after all that the genuine sign-in works', async () => {
    party.provider.reset()
    expect((await party.attempt()).isSignedIn).toBe(true)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
