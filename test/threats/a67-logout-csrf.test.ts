import { describe, expect, test } from 'vitest'
import { parseForm } from '../support/html-form.ts'
import { APP } from '../support/relying-party.ts'
import { LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders, Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty()
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const CROSS_SITE = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }

async function tokenOf(browser: Visitor): Promise<string> {
  const { body, url } = await browser.get(LOGOUT)
  const token = parseForm(body, url)?.hidden['token']
  if (!token) throw new Error('the confirm page has no token')
  return token
}

function expectConfirmPage(visit: Visit): void {
  expect([visit.status, visit.headers['cache-control']]).toEqual([200, 'no-store'])
  expect(visit.headers['content-security-policy']).toContain("frame-ancestors 'none'")
  expect([visit.headers['referrer-policy'], visit.location]).toEqual(['same-origin', undefined])
  expect(visit.setCookies).toEqual([])
  expect(visit.body).toContain(`action="${LOGOUT}"`)
}

/** Signs in, does something at the sign-out, and asserts that the session goes on behind the confirm page. */
async function expectAsked(act: (browser: Visitor) => Promise<Visit>): Promise<void> {
  const { browser } = await party.attempt()
  expectConfirmPage(await act(browser))
  expect(await party.userOf(browser)).toBe('alice')
}

/** The same where the sign-out is done at once. */
async function expectSignedOut(act: (browser: Visitor) => Promise<Visit>): Promise<void> {
  const { browser } = await party.attempt()
  expect([(await act(browser)).status, await party.userOf(browser)]).toEqual([303, 302])
}

function post(browser: Visitor, headers: VisitHeaders, body = ''): Promise<Visit> {
  const without = { 'Sec-Fetch-Site': undefined, Origin: undefined }
  return browser.request('POST', LOGOUT, { body, headers: { ...FORM, ...without, ...headers } })
}

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
    await expectAsked((browser) => browser.get(LOGOUT, { headers }))
  })

  test('GET with the token, or with a method override, ends nothing', async () => {
    const headers = { 'X-HTTP-Method-Override': 'POST', 'Sec-Fetch-Site': 'same-origin' }
    await expectAsked(async (browser) =>
      browser.get(`${LOGOUT}?token=${await tokenOf(browser)}&_method=POST`),
    )
    await expectAsked((browser) => browser.get(LOGOUT, { headers }))
  })

  test.for(words`
    local=true rd=/welcome local=true&rd=/welcome
  `)('further parameters sign nobody out by themselves: %s', async (query) => {
    await expectAsked((browser) => browser.get(`${LOGOUT}?${query}`))
    await expectAsked((browser) => post(browser, CROSS_SITE, query))
  })

  test.for<[string, VisitHeaders]>([
    ['cross-site', CROSS_SITE],
    ['cross-site without an Origin', { 'Sec-Fetch-Site': 'cross-site' }],
    ['from a sandboxed frame', { 'Sec-Fetch-Site': 'cross-site', Origin: 'null' }],
    [
      'same-site, unprotected',
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
    await expectAsked((browser) => post(browser, headers))
  })

  test('a form of another site ends nothing, with whichever token its author can get', async () => {
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
  ])('a token that is not the page’s, or not in a form, does not count: %s', async (row) => {
    const [, change, headers] = row
    const body = (token: string) => (headers ? change(token) : `token=${change(token)}`)
    await expectAsked(async (browser) => post(browser, headers ?? {}, body(await tokenOf(browser))))
  })

  test.for([
    'application/x-www-form-urlencoded;charset=UTF-8',
    'application/x-www-form-urlencoded ; charset=UTF-8',
    'Application/X-WWW-Form-Urlencoded\t',
  ])('a form is one however its type is written: %j', async (type) => {
    const headers = { 'Content-Type': type }
    await expectSignedOut(async (browser) =>
      post(browser, headers, `token=${await tokenOf(browser)}`),
    )
  })

  test.for<[string, VisitHeaders]>([
    ['the same origin', { 'Sec-Fetch-Site': 'same-origin' }],
    ['the public URL, by an old browser', { Origin: APP }],
    ['another host', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://other.example.com' }],
  ])('the legitimate twin, a form of %s, signs out', async ([, headers]) => {
    await expectSignedOut((browser) => post(browser, headers))
  })

  test('the legitimate twin, the button of the confirm page, signs out in any browser', async () => {
    const origin = { Origin: 'null' }
    await expectSignedOut(async (browser) =>
      post(browser, origin, `token=${await tokenOf(browser)}`),
    )
  })
})
