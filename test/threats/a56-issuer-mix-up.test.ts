import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestProvider } from '../support/provider.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import {
  cookieHeader,
  expectFailedSignIn,
  sentAlong,
  startLogin,
  untilCallback,
  withQuery,
} from '../support/sign-in-steps.ts'
import { startVestibule } from '../support/vestibule.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
beforeEach(() => {
  party.provider.reset()
  party.provider.forgetRequests()
})
afterAll(() => party[Symbol.asyncDispose]())

const issuers: readonly (readonly [string, (issuer: string) => string | undefined])[] = [
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
  test.for(issuers)('an iss that is not the provider’s is refused: %s', async ([, change]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    party.provider.forgetRequests()
    const visit = await browser.get(withQuery(callbackUrl, { iss: change(party.provider.issuer) }))
    expectFailedSignIn(visit, ['hostile'])
    expect(party.provider.count('token')).toBe(0)

    const finished = await browser.get(callbackUrl)
    expect([finished.status, finished.location]).toEqual([302, `${APP}/`])
  })

  test('the provider announces iss, so that its absence is a sign of an attack', async () => {
    const { callbackUrl } = await party.untilCallback()
    expect(new URL(callbackUrl).searchParams.get('iss')).toBe(party.provider.issuer)
  })

  test.for(['https://hostile.example', '/'])(
    'an ID token of another issuer gives no session: %s',
    async (suffix) => {
      const iss = suffix === '/' ? `${party.provider.issuer}/` : suffix
      party.provider.tamperIdToken({ iss })
      const { browser, callbackUrl } = await party.untilCallback()
      expectFailedSignIn(await browser.get(callbackUrl), ['hostile'])
      expect((await party.vestibule.check({}, { Cookie: cookieHeader(browser) })).status).toBe(302)
    },
  )

  test('the redirect URI is the configured one, whatever the request says', async () => {
    const headers = {
      'X-Forwarded-Host': 'hostile.example',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Prefix': '/hostile',
      Forwarded: 'host=hostile.example',
    }
    const browser = party.vestibule.visitor()
    const started = await browser.get(`${APP}/oauth2/login?rd=/`, { headers })
    expect(sentAlong(started, 'redirect_uri')).toBe(`${APP}/oauth2/callback`)
    expect(started.location).not.toContain('hostile')
  })

  test('with a provider that does not announce iss it may be missing, but not be another', async () => {
    await using provider = await startTestProvider({ origins: [APP] })
    provider.set('discovery', {
      rewrite: (metadata) => ({
        ...metadata,
        authorization_response_iss_parameter_supported: undefined,
      }),
    })
    await using vestibule = await startVestibule({
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_ID: provider.clientId,
      OIDC_CLIENT_SECRET: provider.clientSecret,
    })
    const browser = vestibule.visitor()
    const url = await untilCallback(browser)
    provider.forgetRequests()
    for (const iss of ['https://hostile.example', `${provider.issuer}/`]) {
      expectFailedSignIn(await browser.get(withQuery(url, { iss })), ['hostile'])
    }
    expect(provider.count('token')).toBe(0)
    expect((await browser.get(withQuery(url, { iss: undefined }))).status).toBe(302)
    expect(vestibule.isAlive()).toBe(true)
  })

  test('the legitimate twin is signed in', async () => {
    const browser = party.vestibule.visitor()
    expect((await startLogin(browser)).status).toBe(302)
    expect((await party.attempt()).isSignedIn).toBe(true)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
