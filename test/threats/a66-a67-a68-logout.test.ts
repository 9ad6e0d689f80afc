import { expect, test } from 'vitest'
import { parseForm } from '../support/html-form.ts'
import { readCounter } from '../support/refusal.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { claimsOf } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders, Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty()
const { userOf, expectNoSession } = party

async function signedIn(sub: string) {
  return (await party.attempt(sub)).browser
}

async function signedInBoth() {
  const browsers = await Promise.all(['alice', 'bob'].map(signedIn))
  return browsers.map((each) => String(cookieHeader(each)))
}

function shapeOf(line: string): string {
  return line
    .replace(/=[^;]*/, '')
    .replace(/; (?:Max-Age|Expires)=[^;]*/gi, '')
    .toLowerCase()
}

test('A66: a copy of the cookie is worth nothing from the moment of the sign-out', async () => {
  const browser = await signedIn('alice')
  const copied = cookieHeader(browser)
  expect(await userOf(copied)).toBe('alice')
  const before = await readCounter(party.vestibule, 'sign_outs')
  const { status, headers } = await browser.post(LOGOUT)
  expect([status, headers['cache-control']]).toEqual([303, 'no-store'])
  await expectNoSession(copied)
  expect(await readCounter(party.vestibule, 'sign_outs')).toBe(before + 1)
})

test('A66: the cookie is cleared with the attributes that it was set with (A79)', async () => {
  const { browser, answer } = await party.attempt()
  const set = answer.setCookies.find((line) => line.startsWith(`${SESSION_COOKIE}=`)) ?? ''
  const visit = await browser.post(LOGOUT)
  const cleared = visit.setCookies.find((line) => line.startsWith(`${SESSION_COOKIE}=;`)) ?? ''
  expect(cleared).toMatch(/; Max-Age=0(?:;|$)/)
  expect(shapeOf(cleared)).toBe(shapeOf(set))
  expect([visit.refusedCookies, browser.cookies.find(SESSION_COOKIE)]).toEqual([[], undefined])
})

test('A66: with COOKIE_DOMAIN the cookie of the domain goes, and no copy of it is left', async () => {
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

test('A66: the sign-out ends one session, not those of other browsers and users (A65)', async () => {
  const here = await signedIn('alice')
  const [elsewhere, other] = [await signedIn('alice'), await signedIn('bob')]
  await here.post(LOGOUT)
  expect([await userOf(elsewhere), await userOf(other)]).toEqual(['alice', 'bob'])
})

test('A66: of several sessions in one browser each ends, whichever comes first', async () => {
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

test('A66: of several sessions in one request none ends that another site has asked for', async () => {
  const [first = '', second = ''] = await signedInBoth()
  const browser = party.visitor()
  const Cookie = `${first}; ${second}`
  const page = await browser.get(LOGOUT, { headers: { Cookie } })
  const token = parseForm(page.body, page.url)?.hidden['token'] ?? ''
  const headers = { Cookie, 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
  expect((await browser.post(LOGOUT, { token }, { headers })).status).toBe(200)
  expect([await userOf(first), await userOf(second)]).toEqual(['alice', 'bob'])
})

test('A66: a local sign-out ends the session of the other protected host as well', async () => {
  party.provider.tamperIdToken({ sid: 'one session at the provider' })
  const browser = await signedIn('alice')
  await party.provider.allowOrigin('https://other.example.com')
  await browser.browse('https://other.example.com/oauth2/login?rd=/')
  const [here, there] = ['app.example.com', 'other.example.com'].map((host) => {
    const headers = { Cookie: browser.cookies.header(new URL(`https://${host}/`)) }
    return async () => (await party.check({ host }, headers)).status
  })
  expect(await there?.()).toBe(200)
  expect((await browser.post(`${LOGOUT}?local=true`)).location).toBe(`${APP}/oauth2/signed-out`)
  expect([await here?.(), await there?.()]).toEqual([302, 302])
})

test('A66: a cookie with the right id and a wrong secret ends no session', async () => {
  const browser = await signedIn('alice')
  const [, id] = (browser.cookies.find(SESSION_COOKIE)?.value ?? '').split('.')
  const headers = { Cookie: `${SESSION_COOKIE}=v1.${id}.${'A'.repeat(43)}` }
  await party.visitor().post(LOGOUT, {}, { headers })
  expect(await userOf(browser)).toBe('alice')
})

test.for(words`
  /login?rd=/ /logout /signed-out /me /callback
`)('A66: opening %s signs nobody out', async (path) => {
  const browser = await signedIn('alice')
  const { setCookies } = await browser.get(`${APP}/oauth2${path}`)
  expect(setCookies.filter((line) => line.startsWith(`${SESSION_COOKIE}=`))).toEqual([])
  expect(await userOf(browser)).toBe('alice')
})

test('A66: the tokens are revoked at the provider, refresh token first', async () => {
  const answers = party.recordTokens()
  await (await signedIn('alice')).post(LOGOUT)
  const { refresh_token: refreshToken, access_token: accessToken } = answers[0] ?? {}
  const revoked = party.provider
    .requests('revocation')
    .map(({ body }) => Object.fromEntries(new URLSearchParams(body)))
  expect(revoked).toMatchObject([
    { token: refreshToken, token_type_hint: 'refresh_token' },
    { token: accessToken, token_type_hint: 'access_token' },
  ])
  expect(refreshToken).toBeTypeOf('string')
})

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const CROSS_SITE = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }

async function tokenOf(browser: Visitor): Promise<string> {
  const { body, url } = await browser.get(LOGOUT)
  const token = parseForm(body, url)?.hidden['token']
  if (!token) throw new Error('the confirm page has no token')
  return token
}

/** Signs in, does something at the sign-out, and asserts that the session goes on behind the confirm page. */
async function expectAsked(act: (browser: Visitor) => Promise<Visit>): Promise<void> {
  const { browser } = await party.attempt()
  const { status, headers, setCookies, location, body } = await act(browser)
  expect([status, setCookies, location]).toEqual([200, [], undefined])
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'content-security-policy': expect.stringContaining("frame-ancestors 'none'") as string,
    'referrer-policy': 'same-origin',
  })
  expect(body).toContain(`action="${LOGOUT}"`)
  expect(await party.userOf(browser)).toBe('alice')
}

async function expectSignedOut(act: (browser: Visitor) => Promise<Visit>): Promise<void> {
  const { browser } = await party.attempt()
  expect([(await act(browser)).status, await party.userOf(browser)]).toEqual([303, 302])
}

function post(browser: Visitor, headers: VisitHeaders, body = ''): Promise<Visit> {
  const without = { 'Sec-Fetch-Site': undefined, Origin: undefined }
  return browser.request('POST', LOGOUT, { body, headers: { ...FORM, ...without, ...headers } })
}

test.for<[string, VisitHeaders]>([
  ['an image', { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }],
  ['a link of another site', { 'Sec-Fetch-Site': 'cross-site' }],
  ['a link of the same origin', { 'Sec-Fetch-Site': 'same-origin' }],
  ['the address bar', { 'Sec-Fetch-Site': 'none' }],
  [
    'fetch of the same origin',
    { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty', Origin: APP },
  ],
  ['an old browser', { 'Sec-Fetch-Site': undefined, 'Sec-Fetch-Mode': undefined }],
])('A67: GET by %s ends nothing and shows the confirm page', ([, headers]) =>
  expectAsked((browser) => browser.get(LOGOUT, { headers })),
)

test('A67: GET with the token, or with a method override, ends nothing', async () => {
  const headers = { 'X-HTTP-Method-Override': 'POST', 'Sec-Fetch-Site': 'same-origin' }
  await expectAsked(async (browser) =>
    browser.get(`${LOGOUT}?token=${await tokenOf(browser)}&_method=POST`),
  )
  await expectAsked((browser) => browser.get(LOGOUT, { headers }))
})

test.for(words`
  local=true rd=/welcome local=true&rd=/welcome
`)('A67: further parameters sign nobody out by themselves: %s', async (query) => {
  await expectAsked((browser) => browser.get(`${LOGOUT}?${query}`))
  await expectAsked((browser) => post(browser, CROSS_SITE, query))
})

test.for<[string, VisitHeaders]>([
  ['cross-site', CROSS_SITE],
  ['cross-site without an Origin', { 'Sec-Fetch-Site': 'cross-site' }],
  ['from a sandboxed frame', { 'Sec-Fetch-Site': 'cross-site', Origin: 'null' }],
  ['same-site, unprotected', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://evil.example.com' }],
  ['same-site without an Origin', { 'Sec-Fetch-Site': 'same-site' }],
  ['from nowhere', { 'Sec-Fetch-Site': 'none' }],
  ['by an old browser that sends neither', {}],
  ['with an empty Origin', { Origin: '' }],
  ['with the Origin null', { Origin: 'null' }],
  ['with an Origin that begins like ours', { Origin: 'https://app.example.com.evil.example' }],
  ['with an Origin that ends like ours', { Origin: 'https://evilapp.example.com' }],
  ['with our host as user info', { Origin: 'https://app.example.com@evil.example' }],
  ['with our host over http', { Origin: 'http://app.example.com' }],
  ['with our host at another port', { Origin: 'https://app.example.com:8443' }],
  ['with two Origins', { Origin: [APP, 'https://evil.example'] }],
  ['with two Origins in one', { Origin: `${APP}, https://evil.example` }],
  ['with a Referer of ours alone', { Referer: `${APP}/oauth2/logout` }],
  ['with two Sec-Fetch-Site', { 'Sec-Fetch-Site': ['same-origin', 'cross-site'] }],
  ['with a list in Sec-Fetch-Site', { 'Sec-Fetch-Site': 'same-origin, cross-site' }],
  ['with Sec-Fetch-Site in capitals', { 'Sec-Fetch-Site': 'SAME-ORIGIN' }],
])('A67: POST %s ends nothing and shows the confirm page', ([, headers]) =>
  expectAsked((browser) => post(browser, headers)),
)

test('A67: a form of another site ends nothing, with whichever token its author can get', async () => {
  const { browser } = await party.attempt('alice')
  const attacker = (await party.attempt('bob')).browser
  const tokens = [await tokenOf(party.visitor()), await tokenOf(attacker), '', 'A'.repeat(43)]
  for (const token of tokens) {
    // A cross-site POST travels without the Lax cookie, and its answer may still write cookies.
    const visit = await browser.request('POST', LOGOUT, {
      crossSite: true,
      headers: { Origin: 'https://evil.example', ...FORM },
      body: new URLSearchParams({ token }).toString(),
    })
    expect(visit.sentCookie ?? '').not.toContain(`${SESSION_COOKIE}=`)
    expect(visit.setCookies).toEqual([])
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(await party.userOf(browser)).toBe('alice')
  }
})

test.for<[string, (token: string) => string, VisitHeaders?]>([
  ['empty', () => ''],
  ['cut', (token) => token.slice(0, -1)],
  ['longer', (token) => `${token}A`],
  ['twice, the wrong one first', (token) => `A&token=${token}`],
  ['of another length in bytes', (token) => `${token.slice(0, -1)}ä`],
  ['in JSON', (token) => JSON.stringify({ token }), { 'Content-Type': 'application/json' }],
  ['in plain text', (token) => `token=${token}`, { 'Content-Type': 'text/plain' }],
])('A67: a token that is not the page’s, or not in a form, does not count: %s', async (row) => {
  const [, change, headers] = row
  const body = (token: string) => (headers ? change(token) : `token=${change(token)}`)
  await expectAsked(async (browser) => post(browser, headers ?? {}, body(await tokenOf(browser))))
})

test.for([
  'application/x-www-form-urlencoded;charset=UTF-8',
  'application/x-www-form-urlencoded ; charset=UTF-8',
  'Application/X-WWW-Form-Urlencoded\t',
])('A67: a form is one however its type is written: %j', async (type) => {
  const headers = { 'Content-Type': type }
  await expectSignedOut(async (browser) =>
    post(browser, headers, `token=${await tokenOf(browser)}`),
  )
})

test.for<[string, VisitHeaders]>([
  ['the same origin', { 'Sec-Fetch-Site': 'same-origin' }],
  ['the public URL, by an old browser', { Origin: APP }],
  ['another host', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://other.example.com' }],
])('A67: the legitimate twin, a form of %s, signs out', ([, headers]) =>
  expectSignedOut((browser) => post(browser, headers)),
)

test('A67: the legitimate twin, the button of the confirm page, signs out in any browser', async () => {
  const origin = { Origin: 'null' }
  await expectSignedOut(async (browser) => post(browser, origin, `token=${await tokenOf(browser)}`))
})

const paths = words`
  /oauth2/frontchannel /oauth2/frontchannel-logout /oauth2/frontchannel_logout
  /oauth2/front-channel-logout /oauth2/logout/frontchannel /oauth2/logout/ /oauth2/sign_out
  /oauth2/signout /frontchannel /frontchannel-logout /logout /oauth2/silent /oauth2/silent-login
  /oauth2/iframe /oauth2/check-session /oauth2/checksession /oauth2/check_session_iframe
  /oauth2/session /oauth2/renew /oauth2/callback/silent /oauth2/callback.html /oauth2/token
  /oauth2/userinfo /oauth2/.well-known/openid-configuration
`

function query(iss: string): string {
  return new URLSearchParams({ iss, sid: 'guess' }).toString()
}

// The design offers no front-channel logout, since a Lax cookie never reaches the provider's frame.
test.for(paths)('A68, A70: there is no %s', async (path) => {
  const { browser } = await party.attempt()
  for (const method of ['GET', 'POST']) {
    for (const search of [
      '',
      '?prompt=none&rd=/',
      '?sid=guess',
      `?${query(party.provider.issuer)}`,
    ]) {
      const visit = await browser.request(method, `${APP}${path}${search}`, {
        headers: { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'iframe' },
      })
      expect([visit.status, visit.setCookies]).toEqual([404, []])
      expect(visit.headers['cache-control']).toBe('no-store')
      expect(visit.body).not.toContain('guess')
    }
  }
  expect(await party.userOf(browser)).toBe('alice')
})

test('A68: the internal listener has no front-channel logout either', async () => {
  for (const path of paths) {
    expect((await party.vestibule.internal(`${path}?sid=guess`)).status).toBe(404)
  }
})
