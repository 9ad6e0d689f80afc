import { UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { bearerRule, expectTokenRefusal } from '../support/bearers.ts'
import { breakSignature, claimsOf, type Signer } from '../support/tokens.ts'
import { useBearerParty } from '../support/used-party.ts'

const party = useBearerParty([bearerRule('/api/**'), bearerRule('/jwt/**', { tokenType: 'jwt' })])

/** Replaces the header by hand, since jose would not make such a token. */
function relabel(token: string, header: Readonly<Record<string, unknown>>): string {
  const [, payload, signature] = token.split('.')
  return [Buffer.from(JSON.stringify(header)).toString('base64url'), payload, signature].join('.')
}

async function expectRefused(token: string): Promise<void> {
  for (const uri of ['/api/', '/jwt/']) {
    expectTokenRefusal(await party.present(token, { uri }), 'invalid_token')
  }
}

const typ = 'at+jwt'
const SIGNERS: readonly Signer[] = ['none', 'public-key-as-secret', 'stranger', 'unknown-kid']
const FORGERIES: readonly (readonly [string, (token: string) => string])[] = [
  ['none and no signature', (token) => relabel(token, { alg: 'none' }).replace(/[^.]*$/, '')],
  ['no alg', (token) => relabel(token, { typ })],
  ['alg that is no text', (token) => relabel(token, { alg: ['RS256'], typ })],
  ...['none', 'None', 'HS256', 'PS256', 'ES256', 'RSA1_5'].map(
    (alg) =>
      [`${alg} for a signature by RS256`, (token: string) => relabel(token, { alg, typ })] as const,
  ),

  ['one bit turned', breakSignature],
  ['no signature', (token) => token.replace(/[^.]*$/, '')],
]

describe('A80 alg none, HS/RS confusion and algorithms nobody asked for', () => {
  test('the genuine token passes, by either key of the provider', async () => {
    expect((await party.present(await party.mint())).status).toBe(200)
    expect((await party.present(await party.mint({}, { as: 'provider-es256' }))).status).toBe(200)
  })

  test.for(SIGNERS)('a bearer signed by %s is refused', async (as) => {
    await expectRefused(await party.mint({}, { as }))
  })

  test.for(FORGERIES)('a bearer that is forged is refused: %s', async ([, forge]) => {
    await expectRefused(forge(await party.mint()))
  })

  test.for(SIGNERS)('an ID token signed by %s makes no session', async (as) => {
    party.provider.tamperIdToken({}, { as })
    await party.expectNoSignIn([400])
  })

  test.for([
    ...FORGERIES,
    ['jose’s own unsecured token', (token: string) => new UnsecuredJWT(claimsOf(token)).encode()],
  ] as const)('an ID token that is forged makes no session: %s', async ([, forge]) => {
    party.replaceIdToken(forge)
    await party.expectNoSignIn()
  })

  test('after all that the genuine sign-in works', async () =>
    expect((await party.attempt()).isSignedIn).toBe(true))
})
