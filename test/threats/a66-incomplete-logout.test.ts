import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseForm } from '../support/html-form.ts'
import { expectLogin, expectRefusal, readCounter } from '../support/refusal.ts'
import {
  APP,
  type RelyingParty,
  type SignInAttempt,
  startRelyingParty,
} from '../support/relying-party.ts'
import { cookieHeader, LOGIN, LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { claimsOf } from '../support/tokens.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
beforeEach(() => {
  party.provider.reset()
  party.provider.forgetRequests()
})
afterAll(() => party[Symbol.asyncDispose]())

const asScript = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

const expectEnded = async (cookie: string | undefined): Promise<void> => {
  expectLogin(await party.vestibule.check({}, { Cookie: cookie }), `${APP}/`)
  expectRefusal(await party.vestibule.check({}, { Cookie: cookie, ...asScript }), 401)
  const me = await party.vestibule.visitor().get(`${APP}/oauth2/me`, {
    headers: { Cookie: cookie },
  })
  expect([me.status, me.setCookies]).toEqual([401, []])
}

const expectSignedIn = async (cookie: string | undefined, user = 'alice'): Promise<void> => {
  const checked = await party.vestibule.check({}, { Cookie: cookie })
  expect([checked.status, checked.headers['x-auth-request-user']]).toEqual([200, user])
}

/** Name and attributes, without the value and the life time. */
const shapeOf = (line: string): string =>
  line
    .replace(/=[^;]*/, '')
    .replace(/; (?:Max-Age|Expires)=[^;]*/gi, '')
    .toLowerCase()

describe('A66 incomplete logout', () => {
  test('a copy of the cookie is worth nothing from the moment of the sign-out', async () => {
    const { browser } = await party.attempt()
    const copied = cookieHeader(browser)
    await expectSignedIn(copied)
    const before = await readCounter(party.vestibule, 'sign_outs')
    const visit = await browser.post(LOGOUT)
    expect(visit.status).toBe(303)
    expect(visit.headers['cache-control']).toBe('no-store')
    await expectEnded(copied)
    expect(await readCounter(party.vestibule, 'sign_outs')).toBe(before + 1)
  })

  test('the cookie is cleared with the attributes that it was set with', async () => {
    const { browser, answer } = await party.attempt()
    const set = answer.setCookies.find((line) => line.startsWith(`${SESSION_COOKIE}=`)) ?? ''
    const visit = await browser.post(LOGOUT)
    const cleared = visit.setCookies.find((line) => line.startsWith(`${SESSION_COOKIE}=;`)) ?? ''
    expect(cleared).toMatch(/; Max-Age=0(?:;|$)/)
    expect(shapeOf(cleared)).toBe(shapeOf(set))
    expect(visit.refusedCookies).toEqual([])
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
  })

  test('with COOKIE_DOMAIN the cookie of the domain goes, and no copy of it is left', async () => {
    await using shared = await startRelyingParty({
      COOKIE_DOMAIN: 'example.com',
      PUBLIC_URL: APP,
    })
    const { browser } = await shared.attempt()
    const copied = browser.cookies.header(new URL('https://other.example.com/'))
    const at = (host: string) => shared.vestibule.check({ host }, { Cookie: copied })
    expect((await at('other.example.com')).status).toBe(200)
    await browser.post(LOGOUT)
    expect(cookieHeader(browser) ?? '').not.toContain('__Secure-vestibule=')
    for (const host of ['app.example.com', 'other.example.com']) {
      expect((await at(host)).status).toBe(302)
    }
  })

  test('the sign-out ends one session, not those of other browsers and users', async () => {
    const [here, elsewhere, other] = [
      await party.attempt('alice'),
      await party.attempt('alice'),
      await party.attempt('bob'),
    ]
    await here.browser.post(LOGOUT)
    await expectSignedIn(cookieHeader(elsewhere.browser))
    await expectSignedIn(cookieHeader(other.browser), 'bob')
  })

  test('of several sessions in one browser each ends, whichever comes first', async () => {
    const before = await readCounter(party.vestibule, 'sign_outs')
    const [alice, bob] = await Promise.all(['alice', 'bob'].map((sub) => party.attempt(sub)))
    const [first, second] = [alice, bob].map((each) =>
      cookieHeader((each as SignInAttempt).browser),
    )
    const junk = `${SESSION_COOKIE}=${'j'.repeat(20)}`
    const headers = { Cookie: `${first}; ${junk}; ${SESSION_COOKIE}=; ${second}; ${first}` }
    const visit = await party.vestibule.visitor().post(LOGOUT, {}, { headers })
    expect(visit.status).toBe(303)
    expect(visit.setCookies.join()).toContain(`${SESSION_COOKIE}=; Max-Age=0`)
    const { searchParams } = new URL(visit.location ?? '')
    expect(claimsOf(searchParams.get('id_token_hint') ?? '').sub).toBe('alice')
    await expectEnded(first)
    await expectEnded(second)
    expect(await readCounter(party.vestibule, 'sign_outs')).toBe(before + 2)
  })

  test('of several sessions in one request none ends that another site has asked for', async () => {
    const [alice, bob] = await Promise.all(['alice', 'bob'].map((sub) => party.attempt(sub)))
    const [first, second] = [alice, bob].map((each) =>
      cookieHeader((each as SignInAttempt).browser),
    )
    const browser = party.vestibule.visitor()
    const Cookie = `${first}; ${second}`
    const page = await browser.get(LOGOUT, { headers: { Cookie } })
    const token = parseForm(page.body, page.url)?.hidden['token'] ?? ''
    const headers = { Cookie, 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
    expect((await browser.post(LOGOUT, { token }, { headers })).status).toBe(200)
    await expectSignedIn(first)
    await expectSignedIn(second, 'bob')
  })

  test('a local sign-out ends no less: the session of the other protected host goes with it', async () => {
    party.provider.tamperIdToken({ sid: 'one session at the provider' })
    const { browser } = await party.attempt()
    await party.provider.allowOrigin('https://other.example.com')
    await browser.browse('https://other.example.com/oauth2/login?rd=/')
    const cookies = ['https://app.example.com/', 'https://other.example.com/'].map((url) =>
      browser.cookies.header(new URL(url)),
    )
    const at = (host: string, cookie: string | undefined) =>
      party.vestibule.check({ host }, { Cookie: cookie })
    expect((await at('other.example.com', cookies[1])).status).toBe(200)
    const visit = await browser.post(`${LOGOUT}?local=true`)
    expect(visit.location).toBe(`${APP}/oauth2/signed-out`)
    expect((await at('app.example.com', cookies[0])).status).toBe(302)
    expect((await at('other.example.com', cookies[1])).status).toBe(302)
  })

  test('the way leads to the provider with an ID token hint, and back to a page of ours', async () => {
    const { browser } = await party.attempt()
    const visit = await browser.post(LOGOUT)
    const url = new URL(visit.location ?? '')
    expect(url.origin + url.pathname).toBe(`${party.provider.issuer}/session/end`)
    expect(claimsOf(url.searchParams.get('id_token_hint') ?? '').sub).toBe('alice')
    expect(url.searchParams.get('post_logout_redirect_uri')).toBe(`${APP}/oauth2/signed-out`)
    const confirm = await browser.follow(visit)
    const last = await browser.submit(confirm, { logout: 'yes' })
    expect(last.url).toMatch(new RegExp(`^${APP}/oauth2/signed-out`))
    expect(last.body).toContain('You are signed out')
    const again = await browser.browse(`${LOGIN}?rd=/`)
    expect(again.body).toContain('name="login"')
  })

  test('the session ends here even when the provider is away', async () => {
    const { browser } = await party.attempt()
    const copied = cookieHeader(browser)
    await party.provider.pause()
    const visit = await browser.post(LOGOUT)
    await party.provider.resume()
    expect(visit.status).toBe(303)
    await expectEnded(copied)
  })

  test('a cookie with the right id and a wrong secret ends nobody’s session', async () => {
    const { browser } = await party.attempt()
    const [, id] = (browser.cookies.find(SESSION_COOKIE)?.value ?? '').split('.')
    const forged = `${SESSION_COOKIE}=v1.${id}.${'A'.repeat(43)}`
    await party.vestibule.visitor().post(LOGOUT, {}, { headers: { Cookie: forged } })
    await expectSignedIn(cookieHeader(browser))
  })

  test('opening the sign-in page, or any page of ours, signs nobody out by half', async () => {
    const { browser } = await party.attempt()
    for (const path of ['/login?rd=/', '/logout', '/signed-out', '/me', '/callback']) {
      const visit = await browser.get(`${APP}/oauth2${path}`)
      const cleared = visit.setCookies.filter((line) => line.startsWith(`${SESSION_COOKIE}=`))
      expect(cleared).toEqual([])
    }
    await expectSignedIn(cookieHeader(browser))
  })

  test('signing out twice, and without a session, does no harm', async () => {
    const { browser } = await party.attempt()
    for (let time = 1; time <= 2; time += 1) expect((await browser.post(LOGOUT)).status).toBe(303)
    expect((await party.vestibule.visitor().post(LOGOUT)).status).toBe(303)
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test('the tokens are revoked at the provider, refresh token first', async () => {
    const tokens: Record<string, unknown>[] = []
    party.provider.set('token', {
      rewrite: (body) => {
        tokens.push(body)
        return body
      },
    })
    const { browser } = await party.attempt()
    await browser.post(LOGOUT)
    const { refresh_token: refreshToken, access_token: accessToken } = tokens[0] ?? {}
    // The answer has waited for it.
    const revoked = party.provider
      .requests('revocation')
      .map(({ body }) => new URLSearchParams(body).get('token'))
    expect(revoked).toEqual([refreshToken, accessToken])
    expect(refreshToken).toBeTypeOf('string')
  })
})
