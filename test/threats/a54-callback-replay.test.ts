import { describe, expect, test } from 'vitest'
import { readCounter } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  cookieHeader,
  expectFailedSignIn,
  LOGIN,
  LOGOUT,
  parseLoginLink,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
  withQuery,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

const party = useParty()
const { tokenRequests, userOf, expectNotRedeemed } = party

function opensSession({ setCookies }: Visit): boolean {
  return setCookies.some((line) => line.startsWith(`${SESSION_COOKIE}=v1.`))
}

function sessionIn(browser: Visitor): string | undefined {
  return browser.cookies.find(SESSION_COOKIE)?.value
}

describe('A54 callback replay, reload, prefetch and back button', () => {
  test('a reload with the session goes to the target again, without a token request', async () => {
    const browser = party.visitor()
    const url = await untilCallback(browser, '/report?a=1')
    expect((await browser.get(url)).location).toBe(`${APP}/report?a=1`)
    const session = sessionIn(browser)
    const count = await tokenRequests(async () => {
      for (const replayed of [url, withQuery(url, { code: 'another' }), `${url}&x=1`]) {
        const visit = await browser.get(replayed)
        expect(visit).toMatchObject({ status: 302, location: `${APP}/report?a=1` })
        expect(opensSession(visit)).toBe(false)
      }
    })
    expect([count, sessionIn(browser), await userOf(browser)]).toEqual([0, session, 'alice'])
  })

  test('a replay without the session ends in a page and is counted', async () => {
    const browser = party.visitor()
    const url = await untilCallback(browser)
    const thief = browser.copy()
    expect((await browser.get(url)).status).toBe(302)
    const before = await readCounter(party.vestibule, 'replays_refused')
    for (const replays of [1, 2]) {
      await expectNotRedeemed(() => thief.get(url))
      expect(await readCounter(party.vestibule, 'replays_refused')).toBe(before + replays)
    }
    expect([await userOf(thief), await userOf(browser)]).toEqual([302, 'alice'])
  })

  test('a replay after the sign-out opens no session again', async () => {
    const browser = party.visitor()
    const url = await untilCallback(browser)
    await browser.get(url)
    expect((await browser.post(LOGOUT)).status).toBe(303)
    await expectNotRedeemed(() => browser.get(url))
    expect(await userOf(browser)).toBe(302)
  })

  test.for<[string, (state: string) => string]>([
    ['with padding', (state) => `${state}=`],
    ['in the other base64 alphabet', (s) => s.replaceAll('-', '+').replaceAll('_', '/')],
    ['with a blank inside', (state) => `${state.slice(0, 20)} ${state.slice(20)}`],
  ])('another spelling of a spent state is spent too: %s', async ([, spell]) => {
    const browser = party.visitor()
    const url = await untilCallback(browser)
    const thief = browser.copy()
    await browser.get(url)
    const state = spell(new URL(url).searchParams.get('state') ?? '')
    await expectNotRedeemed(() => thief.get(withQuery(url, { state })))
  })

  test.for([2, 12])('%i callbacks at once make one session and one token request', async (n) => {
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
    const users = await Promise.all(copies.map(userOf))
    expect(users.filter((user) => user === 'alice')).toHaveLength(1)
  })

  test('the back button past a finished sign-in redeems nothing for an older tab', async () => {
    const browser = party.visitor()
    const older = await untilCallback(browser, '/older')
    const newer = await untilCallback(browser, '/newer')
    expect((await browser.get(newer)).location).toBe(`${APP}/newer`)
    const session = sessionIn(browser)
    const count = await tokenRequests(async () => {
      expect((await browser.get(older)).location).toBe(`${APP}/older`)
    })
    expect([count, sessionIn(browser)]).toEqual([0, session])
  })

  test('a login that begins after the session is redeemed and replaces the older session', async () => {
    const { browser } = await party.attempt()
    const before = browser.copy()
    const url = await untilCallback(browser)
    const count = await tokenRequests(async () => {
      expect(opensSession(await browser.get(url))).toBe(true)
    })
    expect([count, await userOf(browser), await userOf(before)]).toEqual([1, 'alice', 302])
  })
})

type Request = readonly [name: string, method: string, headers: Record<string, string>]
const PREFETCH = { 'Sec-Purpose': 'prefetch' }
const WITHOUT_EFFECT: readonly Request[] = [
  ['HEAD', 'HEAD', {}],
  ['Sec-Purpose: prefetch', 'GET', PREFETCH],
  ['Sec-Purpose: prefetch;prerender', 'GET', { 'Sec-Purpose': 'prefetch;prerender' }],
  ['a private prefetch', 'GET', { 'Sec-Purpose': 'prefetch;anonymous-client-ip' }],
  ['Purpose: prefetch', 'GET', { Purpose: 'prefetch' }],
  ['HEAD with Sec-Purpose', 'HEAD', PREFETCH],
]

function expectNoEffect({ setCookies, location, headers, status }: Visit): void {
  expect([setCookies, location, headers['cache-control']]).toEqual([[], undefined, 'no-store'])
  expect(status).not.toBe(500)
}

describe('A54 speculative requests', () => {
  test.for(WITHOUT_EFFECT)('%s on /callback consumes nothing', async ([, method, headers]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    const count = await tokenRequests(async () => {
      expectNoEffect(await browser.request(method, callbackUrl, { headers }))
    })
    expect([count, opensSession(await browser.get(callbackUrl))]).toEqual([0, true])
  })

  test.for(WITHOUT_EFFECT)('%s on /login starts no sign-in', async ([, method, headers]) => {
    const browser = party.visitor()
    expectNoEffect(await browser.request(method, `${LOGIN}?rd=/`, { headers }))
    expect(browser.cookies.all()).toEqual([])
    expect((await startLogin(browser)).location).toContain(party.provider.issuer)
  })

  test.for<Request>([...WITHOUT_EFFECT, ['POST with Sec-Purpose', 'POST', PREFETCH]])(
    '%s on /logout ends no session',
    async ([, method, further]) => {
      const { browser } = await party.attempt()
      const headers = { 'Sec-Fetch-Site': 'same-origin', Origin: APP, ...further }
      const visit = await browser.request(method, LOGOUT, { headers })
      expect(await userOf(browser)).toBe('alice')
      expectNoEffect(visit)
      expect([(await browser.post(LOGOUT)).status, await userOf(browser)]).toEqual([303, 302])
    },
  )
})

/** Signs in several times at a provider that knows its user, and loses each session, as behind a wrong cookie domain. */
async function goRound(browser: Visitor, rounds = 3): Promise<void> {
  for (let round = 1; round <= rounds; round += 1) {
    expect((await browser.get(await untilCallback(browser, '/report'))).status).toBe(302)
    browser.cookies.remove(SESSION_COOKIE)
  }
}

describe('A54 sign-in loops', () => {
  test('after three rounds in 30 s /login shows a page that names the likely cause', async () => {
    const browser = party.visitor()
    await goRound(browser)
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
    const browser = party.visitor()
    await goRound(browser)
    const session = `${SESSION_COOKIE}=v1.${'A'.repeat(43)}.${'A'.repeat(43)}`
    const Cookie = `${cookieHeader(browser) ?? ''}; ${session}`
    const page = await browser.get(`${LOGIN}?rd=/`, { headers: { Cookie } })
    expect(page.status).toBe(400)
    expect(page.body).toContain('different encryption keys')
  })

  test('the page lets its user try once more, and that sign-in works', async () => {
    const browser = party.visitor()
    await goRound(browser)
    const again = parseLoginLink(await startLogin(browser, '/report'))
    expect(again).toBe(`${LOGIN}?${new URLSearchParams({ rd: `${APP}/report` }).toString()}`)
    expect((await browser.browse(again)).url).toBe(`${APP}/report`)
    expect(await userOf(browser)).toBe('alice')
  })

  test('two rounds, and parallel tabs, are no loop', async () => {
    const browser = party.visitor()
    await goRound(browser, 2)
    expect((await startLogin(browser)).status).toBe(302)
    const tabs = party.visitor()
    const urls = [await untilCallback(tabs)]
    while (urls.length < 6) urls.push(await untilCallback(tabs))
    const finished = await Promise.all(urls.map((url) => tabs.get(url)))
    expect(finished.map(({ status }) => status)).toEqual(urls.map(() => 302))
    expect((await startLogin(tabs)).location).toContain(party.provider.issuer)
  })

  test('a browser without cookies is never counted', async () => {
    for (let round = 1; round <= 5; round += 1) {
      expect((await startLogin(party.visitor())).status).toBe(302)
    }
    const bare = await party.get('/oauth2/login?rd=/')
    expect(bare.setCookies[0]).toMatch(new RegExp(`^${BINDING_COOKIE}=v1\\.[\\w-]{43}\\.0\\.0;`))
  })
})
