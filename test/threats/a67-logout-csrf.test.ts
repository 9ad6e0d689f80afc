import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseForm } from '../support/html-form.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import type { Visit, VisitHeaders, Visitor } from '../support/visitor.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
afterAll(() => party[Symbol.asyncDispose]())

const isSignedIn = async (browser: Visitor): Promise<boolean> =>
  (await party.vestibule.check({}, { Cookie: cookieHeader(browser) })).status === 200

const tokenOf = async (browser: Visitor): Promise<string> => {
  const { body, url } = await browser.get(LOGOUT)
  const token = parseForm(body, url)?.hidden['token']
  if (!token) throw new Error('the confirm page has no token')
  return token
}

const expectConfirmPage = (visit: Visit): void => {
  expect(visit.status).toBe(200)
  expect(visit.headers['cache-control']).toBe('no-store')
  expect(visit.headers['content-security-policy']).toContain("frame-ancestors 'none'")
  expect(visit.headers['referrer-policy']).toBe('same-origin')
  expect(visit.location).toBeUndefined()
  expect(visit.setCookies).toEqual([])
  expect(visit.body).toContain(`action="${LOGOUT}"`)
}

const post = (browser: Visitor, headers: VisitHeaders, body = ''): Promise<Visit> =>
  browser.request('POST', LOGOUT, {
    body,
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded',
      'Sec-Fetch-Site': undefined,
      Origin: undefined,
      ...headers,
    },
  })

describe('A67 logout CSRF', () => {
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
  ])('GET by %s ends nothing and shows the confirm page', async ([, headers]) => {
    const { browser } = await party.attempt()
    expectConfirmPage(await browser.get(LOGOUT, { headers }))
    expect(await isSignedIn(browser)).toBe(true)
  })

  test('GET with the token, or with a method override, ends nothing', async () => {
    const { browser } = await party.attempt()
    const token = await tokenOf(browser)
    expectConfirmPage(await browser.get(`${LOGOUT}?token=${token}&_method=POST`))
    const headers = { 'X-HTTP-Method-Override': 'POST', 'Sec-Fetch-Site': 'same-origin' }
    expectConfirmPage(await browser.get(LOGOUT, { headers }))
    expect(await isSignedIn(browser)).toBe(true)
  })

  test.for(['local=true', 'rd=/welcome', 'local=true&rd=/welcome'])(
    'what is asked for beside it signs nobody out by itself: %s',
    async (query) => {
      const { browser } = await party.attempt()
      expectConfirmPage(await browser.get(`${LOGOUT}?${query}`))
      const crossSite = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
      expectConfirmPage(await post(browser, crossSite, query))
      expect(await isSignedIn(browser)).toBe(true)
    },
  )

  test.for<[string, VisitHeaders]>([
    ['cross-site', { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }],
    ['cross-site without an Origin', { 'Sec-Fetch-Site': 'cross-site' }],
    ['from a sandboxed frame', { 'Sec-Fetch-Site': 'cross-site', Origin: 'null' }],
    [
      'same-site from a host that is not protected',
      { 'Sec-Fetch-Site': 'same-site', Origin: 'https://evil.example.com' },
    ],
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
  ])('POST %s ends nothing and shows the confirm page', async ([, headers]) => {
    const { browser } = await party.attempt()
    expectConfirmPage(await post(browser, headers))
    expect(await isSignedIn(browser)).toBe(true)
  })

  test('a form of another site ends nothing, with whichever token its author can get', async () => {
    const { browser } = await party.attempt('alice')
    const stranger = party.vestibule.visitor()
    const attacker = (await party.attempt('bob')).browser
    const tokens = [await tokenOf(stranger), await tokenOf(attacker), '', 'A'.repeat(43)]
    for (const token of tokens) {
      // A cross-site POST travels without the Lax cookie, and its answer may still write cookies.
      const visit = await browser.request('POST', LOGOUT, {
        crossSite: true,
        headers: {
          Origin: 'https://evil.example',
          'Content-Type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams({ token }).toString(),
      })
      expect(visit.sentCookie ?? '').not.toContain(`${SESSION_COOKIE}=`)
      expect(visit.setCookies).toEqual([])
      expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
      expect(await isSignedIn(browser)).toBe(true)
    }
  })

  test.for<[string, (token: string) => string]>([
    ['empty', () => ''],
    ['cut', (token) => token.slice(0, -1)],
    ['longer', (token) => `${token}A`],
    ['twice, the wrong one first', (token) => `A&token=${token}`],
    ['of another length in bytes', (token) => `${token.slice(0, -1)}ä`],
  ])('a token that is not the page’s is none: %s', async ([, change]) => {
    const { browser } = await party.attempt()
    const token = await tokenOf(browser)
    expectConfirmPage(await post(browser, {}, `token=${change(token)}`))
    expect(await isSignedIn(browser)).toBe(true)
  })

  test('the token counts only in a form', async () => {
    const { browser } = await party.attempt()
    const token = await tokenOf(browser)
    const headers = { 'Content-Type': 'application/json' }
    expectConfirmPage(await post(browser, headers, JSON.stringify({ token })))
    expectConfirmPage(await post(browser, { 'Content-Type': 'text/plain' }, `token=${token}`))
    expect(await isSignedIn(browser)).toBe(true)
  })

  test.for([
    'application/x-www-form-urlencoded;charset=UTF-8',
    'application/x-www-form-urlencoded ; charset=UTF-8',
    'Application/X-WWW-Form-Urlencoded\t',
  ])('a form is one however its type is written: %j', async (type) => {
    const { browser } = await party.attempt()
    const token = await tokenOf(browser)
    expect((await post(browser, { 'Content-Type': type }, `token=${token}`)).status).toBe(303)
    expect(await isSignedIn(browser)).toBe(false)
  })

  test.for<[string, VisitHeaders]>([
    ['the same origin', { 'Sec-Fetch-Site': 'same-origin' }],
    ['the public URL, by an old browser', { Origin: APP }],
    [
      'another protected host',
      { 'Sec-Fetch-Site': 'same-site', Origin: 'https://other.example.com' },
    ],
  ])('the legitimate twin, a form of %s, signs out', async ([, headers]) => {
    const { browser } = await party.attempt()
    expect((await post(browser, headers)).status).toBe(303)
    expect(await isSignedIn(browser)).toBe(false)
  })

  test('the legitimate twin, the button of the confirm page, signs out in any browser', async () => {
    const { browser } = await party.attempt()
    const token = await tokenOf(browser)
    expect((await post(browser, { Origin: 'null' }, `token=${token}`)).status).toBe(303)
    expect(await isSignedIn(browser)).toBe(false)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
