import { describe, expect, test } from 'vitest'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { expectFailedSignIn, sentAlong, startLogin, withQuery } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty()
const ISSUERS: readonly (readonly [string, (issuer: string) => string | undefined])[] = [
  ['missing', () => undefined],
  ['empty', () => ''],
  ['of another provider', () => 'https://hostile.example'],
  ['with a slash more', (issuer) => `${issuer}/`],
  ['with a path', (issuer) => `${issuer}/hostile`],
  ['with a query', (issuer) => `${issuer}?`],
  ['with a fragment', (issuer) => `${issuer}#`],
  ['in capitals', (issuer) => issuer.toUpperCase()],
  ['with another scheme', (issuer) => issuer.replace('http:', 'https:')],
  ['with another name of the same host', (issuer) => issuer.replace('127.0.0.1', 'localhost')],
  ['with another port', (issuer) => issuer.replace(/:\d+$/, ':9')],
  ['with a blank behind it', (issuer) => `${issuer} `],
  ['as user info', (issuer) => `${issuer}@hostile.example`],
]

describe('A56 issuer mix-up', () => {
  test.for(ISSUERS)('an iss that is not the provider’s is refused: %s', async ([, change]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    const iss = change(party.provider.issuer)
    await party.expectNotRedeemed(() => browser.get(withQuery(callbackUrl, { iss })), ['hostile'])
    expect(await browser.get(callbackUrl)).toMatchObject({ status: 302, location: `${APP}/` })
  })

  test('the provider announces iss, so that its absence is a sign of an attack', async () => {
    const { callbackUrl } = await party.untilCallback()
    expect(new URL(callbackUrl).searchParams.get('iss')).toBe(party.provider.issuer)
  })

  test.for(['https://hostile.example', '/'])('another issuer is refused: %s', async (suffix) => {
    party.provider.tamperIdToken({ iss: suffix === '/' ? `${party.provider.issuer}/` : suffix })
    const { browser, callbackUrl } = await party.untilCallback()
    expectFailedSignIn(await browser.get(callbackUrl), ['hostile'])
    expect(await party.userOf(browser)).toBe(302)
  })

  test('the redirect URI is the configured one, whatever the request says', async () => {
    const headers = {
      'X-Forwarded-Host': 'hostile.example',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Prefix': '/hostile',
      Forwarded: 'host=hostile.example',
    }
    const started = await party.get('/oauth2/login?rd=/', { headers })
    expect(sentAlong(started, 'redirect_uri')).toBe(`${APP}/oauth2/callback`)
    expect(started.location).not.toContain('hostile')
  })

  test('with a provider that does not announce iss it may be missing, but not be another', async () => {
    await using silent = await startRelyingParty({}, {}, ({ set }) =>
      set('discovery', {
        rewrite: (metadata) => ({
          ...metadata,
          authorization_response_iss_parameter_supported: undefined,
        }),
      }),
    )
    const { browser, callbackUrl } = await silent.untilCallback()
    for (const iss of ['https://hostile.example', `${silent.provider.issuer}/`]) {
      expectFailedSignIn(await browser.get(withQuery(callbackUrl, { iss })), ['hostile'])
    }
    expect(silent.provider.count('token')).toBe(0)
    expect((await browser.get(withQuery(callbackUrl, { iss: undefined }))).status).toBe(302)
  })

  test('the legitimate twin is signed in', async () => {
    expect((await startLogin(party.visitor())).status).toBe(302)
    expect((await party.attempt()).isSignedIn).toBe(true)
  })
})
