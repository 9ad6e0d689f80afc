import { describe, expect, test } from 'vitest'
import { parseForm } from '../support/html-form.ts'
import { readCounter } from '../support/refusal.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGIN, LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { claimsOf } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const party = useParty()
const { userOf, expectNoSession } = party

async function signedIn(sub: string) {
  return (await party.attempt(sub)).browser
}

async function signedInBoth() {
  return (await Promise.all(['alice', 'bob'].map(signedIn))).map((each) =>
    String(cookieHeader(each)),
  )
}

/** Name and attributes, without the value and the lifetime. */
function shapeOf(line: string): string {
  return line
    .replace(/=[^;]*/, '')
    .replace(/; (?:Max-Age|Expires)=[^;]*/gi, '')
    .toLowerCase()
}

describe('A66 incomplete logout', () => {
  test('a copy of the cookie is worth nothing from the moment of the sign-out', async () => {
    const browser = await signedIn('alice')
    const copied = cookieHeader(browser)
    expect(await userOf(copied)).toBe('alice')
    const before = await readCounter(party.vestibule, 'sign_outs')
    const { status, headers } = await browser.post(LOGOUT)
    expect([status, headers['cache-control']]).toEqual([303, 'no-store'])
    await expectNoSession(copied)
    expect(await readCounter(party.vestibule, 'sign_outs')).toBe(before + 1)
  })

  test('the cookie is cleared with the attributes that it was set with', async () => {
    const { browser, answer } = await party.attempt()
    const set = answer.setCookies.find((line) => line.startsWith(`${SESSION_COOKIE}=`)) ?? ''
    const visit = await browser.post(LOGOUT)
    const cleared = visit.setCookies.find((line) => line.startsWith(`${SESSION_COOKIE}=;`)) ?? ''
    expect(cleared).toMatch(/; Max-Age=0(?:;|$)/)
    expect(shapeOf(cleared)).toBe(shapeOf(set))
    expect([visit.refusedCookies, browser.cookies.find(SESSION_COOKIE)]).toEqual([[], undefined])
  })

  test('with COOKIE_DOMAIN the cookie of the domain goes, and no copy of it is left', async () => {
    await using shared = await startRelyingParty({ COOKIE_DOMAIN: 'example.com', PUBLIC_URL: APP })
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
    const here = await signedIn('alice')
    const [elsewhere, other] = [await signedIn('alice'), await signedIn('bob')]
    await here.post(LOGOUT)
    expect([await userOf(elsewhere), await userOf(other)]).toEqual(['alice', 'bob'])
  })

  test('of several sessions in one browser each ends, whichever comes first', async () => {
    const before = await readCounter(party.vestibule, 'sign_outs')
    const [first = '', second = ''] = await signedInBoth()
    const junk = `${SESSION_COOKIE}=${'j'.repeat(20)}`
    const headers = { Cookie: `${first}; ${junk}; ${SESSION_COOKIE}=; ${second}; ${first}` }
    const visit = await party.visitor().post(LOGOUT, {}, { headers })
    expect(visit.status).toBe(303)
    expect(visit.setCookies.join()).toContain(`${SESSION_COOKIE}=; Max-Age=0`)
    const { searchParams } = new URL(visit.location ?? '')
    expect(claimsOf(searchParams.get('id_token_hint') ?? '').sub).toBe('alice')
    for (const cookie of [first, second]) await expectNoSession(cookie)
    expect(await readCounter(party.vestibule, 'sign_outs')).toBe(before + 2)
  })

  test('of several sessions in one request none ends that another site has asked for', async () => {
    const [first = '', second = ''] = await signedInBoth()
    const browser = party.visitor()
    const Cookie = `${first}; ${second}`
    const page = await browser.get(LOGOUT, { headers: { Cookie } })
    const token = parseForm(page.body, page.url)?.hidden['token'] ?? ''
    const headers = { Cookie, 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
    expect((await browser.post(LOGOUT, { token }, { headers })).status).toBe(200)
    expect([await userOf(first), await userOf(second)]).toEqual(['alice', 'bob'])
  })

  test('a local sign-out ends the session of the other protected host as well', async () => {
    party.provider.tamperIdToken({ sid: 'one session at the provider' })
    const browser = await signedIn('alice')
    await party.provider.allowOrigin('https://other.example.com')
    await browser.browse('https://other.example.com/oauth2/login?rd=/')
    const [here, there] = ['app.example.com', 'other.example.com'].map((host) => {
      const headers = { Cookie: browser.cookies.header(new URL(`https://${host}/`)) }
      return async () => (await party.check({ host }, headers)).status
    })
    expect(await there?.()).toBe(200)
    const visit = await browser.post(`${LOGOUT}?local=true`)
    expect(visit.location).toBe(`${APP}/oauth2/signed-out`)
    expect([await here?.(), await there?.()]).toEqual([302, 302])
  })

  test('the sign-out leads to the provider with an ID token hint, and back to our page', async () => {
    const browser = await signedIn('alice')
    const visit = await browser.post(LOGOUT)
    const url = new URL(visit.location ?? '')
    expect(url.origin + url.pathname).toBe(`${party.provider.issuer}/session/end`)
    expect(claimsOf(url.searchParams.get('id_token_hint') ?? '').sub).toBe('alice')
    expect(url.searchParams.get('post_logout_redirect_uri')).toBe(`${APP}/oauth2/signed-out`)
    const last = await browser.submit(await browser.follow(visit), { logout: 'yes' })
    expect(last.url).toMatch(new RegExp(`^${APP}/oauth2/signed-out`))
    expect(last.body).toContain('You are signed out')
    const again = await browser.browse(`${LOGIN}?rd=/`)
    expect(again.body).toContain('name="login"')
  })

  test('the session ends here even when the provider is away', async () => {
    const browser = await signedIn('alice')
    const copied = cookieHeader(browser)
    await party.provider.pause()
    const visit = await browser.post(LOGOUT)
    await party.provider.resume()
    expect(visit.status).toBe(303)
    await expectNoSession(copied)
  })

  test('a cookie with the right id and a wrong secret ends no session', async () => {
    const browser = await signedIn('alice')
    const [, id] = (browser.cookies.find(SESSION_COOKIE)?.value ?? '').split('.')
    const headers = { Cookie: `${SESSION_COOKIE}=v1.${id}.${'A'.repeat(43)}` }
    await party.visitor().post(LOGOUT, {}, { headers })
    expect(await userOf(browser)).toBe('alice')
  })

  test.for(words`
    /login?rd=/ /logout /signed-out /me /callback
  `)('opening %s signs nobody out', async (path) => {
    const browser = await signedIn('alice')
    const { setCookies } = await browser.get(`${APP}/oauth2${path}`)
    expect(setCookies.filter((line) => line.startsWith(`${SESSION_COOKIE}=`))).toEqual([])
    expect(await userOf(browser)).toBe('alice')
  })

  test('signing out twice, and without a session, does no harm', async () => {
    const browser = await signedIn('alice')
    for (const each of [browser, browser, party.visitor()]) {
      expect((await each.post(LOGOUT)).status).toBe(303)
    }
  })

  test('the tokens are revoked at the provider, refresh token first', async () => {
    const answers = party.recordTokens()
    await (await signedIn('alice')).post(LOGOUT)
    const { refresh_token: refreshToken, access_token: accessToken } = answers[0] ?? {}
    // The answer has waited for it.
    const revoked = party.provider
      .requests('revocation')
      .map(({ body }) => new URLSearchParams(body).get('token'))
    expect(revoked).toEqual([refreshToken, accessToken])
    expect(refreshToken).toBeTypeOf('string')
  })
})
