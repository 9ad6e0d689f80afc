import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readCounter } from '../support/refusal.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  cookieHeader,
  expectFailedSignIn,
  LOGIN,
  LOGOUT,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
  withQuery,
} from '../support/sign-in-steps.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
beforeEach(() => party.provider.reset())
afterAll(() => party[Symbol.asyncDispose]())

const tokenRequests = async (action: () => Promise<unknown>): Promise<number> => {
  const before = party.provider.count('token')
  await action()
  return party.provider.count('token') - before
}

const opensSession = ({ setCookies }: Visit): boolean =>
  setCookies.some((line) => line.startsWith(`${SESSION_COOKIE}=v1.`))

const isSignedIn = async (browser: Visitor): Promise<boolean> =>
  (await party.vestibule.check({}, { Cookie: cookieHeader(browser) })).status === 200

describe('A54 callback replay, reload, prefetch and back button', () => {
  test('a reload with the session goes to the target again, without a token request', async () => {
    const browser = party.vestibule.visitor()
    const url = await untilCallback(browser, '/report?a=1')
    expect((await browser.get(url)).location).toBe(`${APP}/report?a=1`)
    const session = browser.cookies.find(SESSION_COOKIE)?.value
    const count = await tokenRequests(async () => {
      for (const replayed of [url, withQuery(url, { code: 'another' }), `${url}&x=1`]) {
        const visit = await browser.get(replayed)
        expect([visit.status, visit.location]).toEqual([302, `${APP}/report?a=1`])
        expect(opensSession(visit)).toBe(false)
      }
    })
    expect(count).toBe(0)
    expect(browser.cookies.find(SESSION_COOKIE)?.value).toBe(session)
    expect(await isSignedIn(browser)).toBe(true)
  })

  test('a replay without the session ends in a page and is counted', async () => {
    const browser = party.vestibule.visitor()
    const url = await untilCallback(browser)
    const thief = browser.copy()
    expect((await browser.get(url)).status).toBe(302)
    const count = await tokenRequests(async () => expectFailedSignIn(await thief.get(url)))
    expect(count).toBe(0)
    const before = await readCounter(party.vestibule, 'replays_refused')
    expectFailedSignIn(await thief.get(url))
    expect(await readCounter(party.vestibule, 'replays_refused')).toBe(before + 1)
    expect(await isSignedIn(thief)).toBe(false)
    expect(await isSignedIn(browser)).toBe(true)
  })

  test('a replay after the sign-out opens no session again', async () => {
    const browser = party.vestibule.visitor()
    const url = await untilCallback(browser)
    await browser.get(url)
    expect((await browser.post(LOGOUT)).status).toBe(303)
    const count = await tokenRequests(async () => expectFailedSignIn(await browser.get(url)))
    expect(count).toBe(0)
    expect(await isSignedIn(browser)).toBe(false)
  })

  test.for<[string, (state: string) => string]>([
    ['with padding', (state) => `${state}=`],
    ['in the other base64 alphabet', (s) => s.replaceAll('-', '+').replaceAll('_', '/')],
    ['with a blank inside', (state) => `${state.slice(0, 20)} ${state.slice(20)}`],
  ])('another spelling of a spent state is spent too: %s', async ([, spell]) => {
    const browser = party.vestibule.visitor()
    const url = await untilCallback(browser)
    const thief = browser.copy()
    await browser.get(url)
    const state = spell(new URL(url).searchParams.get('state') ?? '')
    const count = await tokenRequests(async () => {
      expectFailedSignIn(await thief.get(withQuery(url, { state })))
    })
    expect(count).toBe(0)
  })

  test.for([2, 12])(
    '%i identical callbacks at once make one session and one token request',
    async (n) => {
      const { browser, callbackUrl } = await party.untilCallback()
      const copies = Array.from({ length: n }, () => browser.copy())
      party.provider.set('token', { delayMs: 150 })
      let visits: Visit[] = []
      const count = await tokenRequests(async () => {
        visits = await Promise.all(copies.map((copy) => copy.get(callbackUrl)))
      })
      expect(count).toBe(1)
      expect(visits.filter(opensSession)).toHaveLength(1)
      const refused = visits.filter((visit) => !opensSession(visit))
      expect(refused).toHaveLength(n - 1)
      for (const visit of refused) expectFailedSignIn(visit)
      const signedIn = await Promise.all(copies.map(isSignedIn))
      expect(signedIn.filter(Boolean)).toHaveLength(1)
    },
  )

  test('the back button past a finished sign-in redeems nothing for any older tab', async () => {
    const browser = party.vestibule.visitor()
    const older = await untilCallback(browser, '/older')
    const newer = await untilCallback(browser, '/newer')
    expect((await browser.get(newer)).location).toBe(`${APP}/newer`)
    const session = browser.cookies.find(SESSION_COOKIE)?.value
    const count = await tokenRequests(async () => {
      expect((await browser.get(older)).location).toBe(`${APP}/older`)
    })
    expect(count).toBe(0)
    expect(browser.cookies.find(SESSION_COOKIE)?.value).toBe(session)
  })

  test('a login begun after the session is redeemed, and takes the older session’s place', async () => {
    const { browser } = await party.attempt()
    const before = browser.copy()
    const url = await untilCallback(browser)
    const count = await tokenRequests(async () => {
      expect(opensSession(await browser.get(url))).toBe(true)
    })
    expect(count).toBe(1)
    expect([await isSignedIn(browser), await isSignedIn(before)]).toEqual([true, false])
  })
})

const withoutEffect: readonly (readonly [string, string, Record<string, string>])[] = [
  ['HEAD', 'HEAD', {}],
  ['Sec-Purpose: prefetch', 'GET', { 'Sec-Purpose': 'prefetch' }],
  ['Sec-Purpose: prefetch;prerender', 'GET', { 'Sec-Purpose': 'prefetch;prerender' }],
  [
    'Sec-Purpose: prefetch;anonymous-client-ip',
    'GET',
    { 'Sec-Purpose': 'prefetch;anonymous-client-ip' },
  ],
  ['Purpose: prefetch', 'GET', { Purpose: 'prefetch' }],
  ['HEAD with Sec-Purpose', 'HEAD', { 'Sec-Purpose': 'prefetch' }],
]

const expectNoEffect = (visit: Visit): void => {
  expect(visit.setCookies).toEqual([])
  expect(visit.location).toBeUndefined()
  expect(visit.headers['cache-control']).toBe('no-store')
  expect(visit.status).not.toBe(500)
}

describe('A54 requests that nobody has made yet', () => {
  test.for(withoutEffect)('%s on /callback consumes nothing', async ([, method, headers]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    const count = await tokenRequests(async () => {
      expectNoEffect(await browser.request(method, callbackUrl, { headers }))
    })
    expect(count).toBe(0)
    expect(opensSession(await browser.get(callbackUrl))).toBe(true)
  })

  test.for(withoutEffect)('%s on /login starts no sign-in', async ([, method, headers]) => {
    const browser = party.vestibule.visitor()
    expectNoEffect(await browser.request(method, `${LOGIN}?rd=/`, { headers }))
    expect(browser.cookies.all()).toEqual([])
    expect((await startLogin(browser)).location).toContain(party.provider.issuer)
  })

  test.for([
    ...withoutEffect,
    ['POST with Sec-Purpose', 'POST', { 'Sec-Purpose': 'prefetch' }] as const,
  ])('%s on /logout ends no session', async ([, method, headers]) => {
    const { browser } = await party.attempt()
    const sameOrigin = { 'Sec-Fetch-Site': 'same-origin', Origin: APP }
    const visit = await browser.request(method, LOGOUT, { headers: { ...sameOrigin, ...headers } })
    expect(await isSignedIn(browser)).toBe(true)
    expectNoEffect(visit)
    expect((await browser.post(LOGOUT)).status).toBe(303)
    expect(await isSignedIn(browser)).toBe(false)
  })
})

/** Signs in by a provider that still knows its user, and loses the session, as behind a wrong cookie domain. */
const goRound = async (browser: Visitor): Promise<Visit> => {
  const visit = await browser.get(await untilCallback(browser, '/report'))
  browser.cookies.remove(SESSION_COOKIE)
  return visit
}

describe('A54 sign-ins that go round in circles', () => {
  test('after three rounds in 30 s /login shows a page that names the likely cause', async () => {
    const browser = party.vestibule.visitor()
    for (let round = 1; round <= 3; round += 1) expect((await goRound(browser)).status).toBe(302)
    const before = await readCounter(party.vestibule, 'sign_in_loops')
    const page = await startLogin(browser, '/report')
    expect([page.status, page.location]).toEqual([400, undefined])
    expect(page.headers['cache-control']).toBe('no-store')
    expect(page.headers['content-type']).toMatch(/^text\/html/)
    expect(page.body).toContain('cookies are allowed for <strong>app.example.com</strong>')
    expect(page.body).toContain(`Request ${String(page.headers['x-request-id'])}`)
    expect(await readCounter(party.vestibule, 'sign_in_loops')).toBe(before + 1)
  })

  test('the page names another cause where the session arrives and is not accepted', async () => {
    const browser = party.vestibule.visitor()
    for (let round = 1; round <= 3; round += 1) await goRound(browser)
    const cookie = `${cookieHeader(browser) ?? ''}; ${SESSION_COOKIE}=v1.${'A'.repeat(43)}.${'A'.repeat(43)}`
    const page = await browser.get(`${LOGIN}?rd=/`, { headers: { Cookie: cookie } })
    expect(page.status).toBe(400)
    expect(page.body).toContain('different encryption keys')
  })

  test('the page lets its user try once more, and that sign-in works', async () => {
    const browser = party.vestibule.visitor()
    for (let round = 1; round <= 3; round += 1) await goRound(browser)
    const page = await startLogin(browser, '/report')
    const again = /href="([^"]*\/oauth2\/login[^"]*)"/
      .exec(page.body)?.[1]
      ?.replaceAll('&amp;', '&')
    expect(again).toBe(`${LOGIN}?${new URLSearchParams({ rd: `${APP}/report` }).toString()}`)
    const finished = await browser.browse(again ?? '')
    expect(finished.url).toBe(`${APP}/report`)
    expect(await isSignedIn(browser)).toBe(true)
  })

  test('two rounds, and parallel tabs, are no loop', async () => {
    const browser = party.vestibule.visitor()
    await goRound(browser)
    await goRound(browser)
    expect((await startLogin(browser)).status).toBe(302)

    const tabs = party.vestibule.visitor()
    const urls = [await untilCallback(tabs)]
    while (urls.length < 6) urls.push(await untilCallback(tabs))
    const finished = await Promise.all(urls.map((url) => tabs.get(url)))
    expect(finished.map(({ status }) => status)).toEqual(urls.map(() => 302))
    expect((await startLogin(tabs)).location).toContain(party.provider.issuer)
  })

  test('a browser without cookies is never counted', async () => {
    for (let round = 1; round <= 5; round += 1) {
      expect((await startLogin(party.vestibule.visitor())).status).toBe(302)
    }
    const bare = await party.vestibule.visitor().get(`${LOGIN}?rd=/`)
    expect(bare.setCookies[0]).toMatch(new RegExp(`^${BINDING_COOKIE}=v1\\.[\\w-]{43}\\.0\\.0;`))
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
