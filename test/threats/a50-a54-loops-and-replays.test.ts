import { describe, expect, test } from 'vitest'
import { readCounter } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

const party = useParty()

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

/** Opens the page as a browser does until something is not a redirect; `spoil` is done to it before each step. */
async function open(browser: Visitor, spoil: (browser: Visitor) => void, uri = '/page') {
  const visits: Visit[] = []
  let next: string | undefined = APP + uri
  while (next && visits.length < 60) {
    spoil(browser)
    const url = new URL(next)
    const isApp = url.origin === APP && !url.pathname.startsWith('/oauth2/')
    const headers = { traceparent: TRACE }
    const visit: Visit = isApp ? await check(browser, url) : await browser.get(next, { headers })
    visits.push(visit)
    next = visit.location
  }
  return { visits, last: visits.at(-1) as Visit }
}

function check(browser: Visitor, url: URL): Promise<Visit> {
  const navigation = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }
  const headers = { Cookie: browser.cookies.header(url), ...navigation }
  return party.check({ uri: url.pathname + url.search }, headers)
}

/** A browser whose user the provider knows, so that nobody needs to click. */
async function knownBrowser(): Promise<Visitor> {
  const { browser } = await party.attempt()
  browser.cookies.remove(steps.BINDING_COOKIE)
  browser.cookies.remove(steps.SESSION_COOKIE)
  return browser.copy()
}

function expectStopped({ status, headers, body }: Visit, texts: readonly string[] = []): void {
  expect({ status, ...headers }).toMatchObject({ status: 400, 'cache-control': 'no-store' })
  expect(headers['content-type']).toMatch(/^text\/html/)
  expect([headers.location, headers['refresh']]).toEqual([undefined, undefined])
  expect(body).not.toContain('http-equiv')
  expect(body).toContain(`Request ${String(headers['x-request-id'])}`)
  for (const text of texts) expect(body).toContain(text)
}

const binding = (counter: string) => `v1.${'A'.repeat(43)}.${counter}`
const keepsAll = () => undefined
const losesSession = ({ cookies }: Visitor) => cookies.remove(steps.SESSION_COOKIE)

test('A50: a browser that keeps its cookies is at its page after one round', async () => {
  const { visits, last } = await open(await knownBrowser(), keepsAll)
  expect(last.status).toBe(200)
  expect(visits.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
})

test('A50: a session that never comes back ends on a page after three rounds', async () => {
  const { visits, last } = await open(await knownBrowser(), losesSession)
  expectStopped(last, [
    'Sign-in keeps starting over',
    'Your browser does not send our sign-in cookie back',
    'cookies are allowed for <strong>app.example.com</strong>',
  ])
  const rd = `${APP}/page`
  expect(steps.parseLoginLink(last)).toBe(
    `${steps.LOGIN}?${new URLSearchParams({ rd }).toString()}`,
  )
  expect(visits.filter(({ url }) => url.includes('/oauth2/callback'))).toHaveLength(3)
})

test('A50: a session that comes back and is not accepted ends on a page that says that', async () => {
  const wrong = `v1.${'A'.repeat(43)}.${'A'.repeat(43)}`
  const { last } = await open(await knownBrowser(), (browser) => {
    const cookie = browser.cookies.find(steps.SESSION_COOKIE)
    if (cookie) browser.cookies.put({ ...cookie, value: wrong })
  })
  expectStopped(last, ['our servers do not accept it', 'different encryption keys'])
  expect(last.body).not.toContain(wrong)
})

test('A50: a browser that keeps no cookie at all ends on a page after one round', async () => {
  const { visits, last } = await open(await knownBrowser(), (browser) => {
    browser.cookies.remove(steps.SESSION_COOKIE)
    browser.cookies.remove(steps.BINDING_COOKIE)
  })
  expectStopped(last)
  expect(last.url).toContain('/oauth2/callback')
  expect(visits[1]?.setCookies[0]).toMatch(/=v1\.[\w-]{43}\.0\.0;/)
  expect(visits.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
})

test('A50: a callback without the cookie of its sign-in is a page, each time it is loaded', async () => {
  const { callbackUrl } = await party.untilCallback()
  party.provider.forgetRequests()
  for (let round = 0; round < 5; round += 1) expectStopped(await party.visitor().get(callbackUrl))
  expect(party.provider.count('token')).toBe(0)
})

test('A50: a provider that refuses at once is not asked again by itself', async () => {
  const browser = await knownBrowser()
  const state = steps.sentAlong(await steps.startLogin(browser, '/page'), 'state')
  for (const error of ['access_denied', 'login_required', 'invalid_scope', 'evil']) {
    expectStopped(await browser.get(`${APP}/oauth2/callback?error=${error}&state=${state}`))
  }
})

test('A50: after the page one more try is free, and then the circle is stopped again', async () => {
  const browser = await knownBrowser()
  expectStopped((await open(browser, losesSession)).last)
  expect((await open(browser, keepsAll)).last.status).toBe(200)
  expectStopped((await open(browser, losesSession)).last)
})

test('A50: the circle is counted for the host, whatever page is opened', async () => {
  const browser = await knownBrowser()
  let last: Visit | undefined
  for (let round = 0; round < 4 && last?.status !== 400; round += 1) {
    browser.cookies.remove(steps.SESSION_COOKIE)
    last = (await open(browser, keepsAll, `/page-${round}`)).last
  }
  expectStopped(last as Visit)
})

test('A50: many tabs that sign in together are not taken for a circle', async () => {
  const browser = await knownBrowser()
  const started: Visit[] = []
  for (let tab = 0; tab < 10; tab += 1) started.push(await steps.startLogin(browser, `/tab-${tab}`))
  const callbacks = await Promise.all(
    started.map(async ({ location }) => (await browser.get(location ?? '')).location ?? ''),
  )
  const answers = await Promise.all(callbacks.map((url) => browser.get(url)))
  expect(answers.map(({ status, location }) => [status, location])).toEqual(
    answers.map((_, tab) => [302, `${APP}/tab-${tab}`]),
  )
  expect((await steps.startLogin(browser, '/next')).status).toBe(302)
})

test.for([
  ...['999.0', '3.999999999999', '-1.0', '9999.0', 'NaN.Infinity'].map(binding),
  binding(`3.${Math.floor(Date.now() / 1000)}`),
  '%00',
  'x'.repeat(4000),
])('A50: a counter that a visitor has changed affects only their own circle: %s', async (value) => {
  const headers = { Cookie: `${steps.BINDING_COOKIE}=${value}` }
  const visit = await party.visitor().get(`${APP}/oauth2/login?rd=/page`, { headers })
  expect([302, 400]).toContain(visit.status)
  expect(visit.setCookies.filter((each) => each.startsWith(`${steps.BINDING_COOKIE}=`))).toEqual([
    expect.stringMatching(/=v1\.[\w-]{43}\.\d{1,3}\.\d{1,12};/),
  ])
  expect((await party.attempt()).isSignedIn).toBe(true)
})

test('A50: a target that holds a sign-in that holds a sign-in does not grow from round to round', async () => {
  let url = `${APP}/oauth2/login?rd=/page`
  for (let depth = 0; depth < 8; depth += 1) url = `${APP}/a?rd=${encodeURIComponent(url)}`
  const uri = url.slice(APP.length)
  const first = await party.check({ uri })
  const { visits, last } = await open(await knownBrowser(), losesSession, uri)
  expectStopped(last)
  const lengths = visits
    .filter((visit) => visit.url.includes('/auth') && visit.status === 302)
    .map(({ location = '' }) => location.length)
  expect(Math.max(...lengths)).toBeLessThanOrEqual(first.location?.length ?? 0)
})

test('A50: circles are counted', async () => {
  const before = await readCounter(party.vestibule, 'sign_in_loops')
  await open(await knownBrowser(), losesSession)
  expect(await readCounter(party.vestibule, 'sign_in_loops')).toBe(before + 1)
  const line = party.vestibule.log().findLast(({ event }) => event === 'sign_in_loop')
  expect(line).toMatchObject({ host: 'app.example.com', traceparent: TRACE })
})

const { tokenRequests, userOf, expectNotRedeemed } = party

function opensSession({ setCookies }: Visit): boolean {
  return setCookies.some((line) => line.startsWith(`${steps.SESSION_COOKIE}=v1.`))
}

function sessionIn(browser: Visitor): string | undefined {
  return browser.cookies.find(steps.SESSION_COOKIE)?.value
}

describe('A54 callback replay, reload, prefetch and back button', () => {
  test('a reload with the session goes to the target again, without a token request', async () => {
    const browser = party.visitor()
    const url = await steps.untilCallback(browser, '/report?a=1')
    expect((await browser.get(url)).location).toBe(`${APP}/report?a=1`)
    const session = sessionIn(browser)
    const count = await tokenRequests(async () => {
      for (const replayed of [url, steps.withQuery(url, { code: 'another' }), `${url}&x=1`]) {
        const visit = await browser.get(replayed)
        expect(visit).toMatchObject({ status: 302, location: `${APP}/report?a=1` })
        expect(opensSession(visit)).toBe(false)
      }
    })
    expect([count, sessionIn(browser), await userOf(browser)]).toEqual([0, session, 'alice'])
  })

  test('a replay without the session ends in a page and is counted', async () => {
    const browser = party.visitor()
    const url = await steps.untilCallback(browser)
    const thief = browser.copy()
    expect((await browser.get(url)).status).toBe(302)
    const before = await readCounter(party.vestibule, 'replays_refused')
    for (const replays of [1, 2]) {
      await expectNotRedeemed(() => thief.get(url))
      expect(await readCounter(party.vestibule, 'replays_refused')).toBe(before + replays)
    }
    expect([await userOf(thief), await userOf(browser)]).toEqual([302, 'alice'])
  })

  test.for<[string, (state: string) => string]>([
    ['with padding', (state) => `${state}=`],
    ['in the other base64 alphabet', (s) => s.replaceAll('-', '+').replaceAll('_', '/')],
    ['with a blank inside', (state) => `${state.slice(0, 20)} ${state.slice(20)}`],
  ])('A54: another spelling of a spent state is spent too: %s', async ([, spell]) => {
    const browser = party.visitor()
    const url = await steps.untilCallback(browser)
    const thief = browser.copy()
    await browser.get(url)
    const state = spell(new URL(url).searchParams.get('state') ?? '')
    await expectNotRedeemed(() => thief.get(steps.withQuery(url, { state })))
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
    for (const visit of refused) steps.expectFailedSignIn(visit)
    const users = await Promise.all(copies.map(userOf))
    expect(users.filter((user) => user === 'alice')).toHaveLength(1)
  })

  test('the back button past a finished sign-in redeems nothing for an older tab', async () => {
    const browser = party.visitor()
    const older = await steps.untilCallback(browser, '/older')
    const newer = await steps.untilCallback(browser, '/newer')
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
    const url = await steps.untilCallback(browser)
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
    expectNoEffect(await browser.request(method, `${steps.LOGIN}?rd=/`, { headers }))
    expect(browser.cookies.all()).toEqual([])
    expect((await steps.startLogin(browser)).location).toContain(party.provider.issuer)
  })

  test.for<Request>([...WITHOUT_EFFECT, ['POST with Sec-Purpose', 'POST', PREFETCH]])(
    '%s on /logout ends no session',
    async ([, method, further]) => {
      const { browser } = await party.attempt()
      const headers = { 'Sec-Fetch-Site': 'same-origin', Origin: APP, ...further }
      const visit = await browser.request(method, steps.LOGOUT, { headers })
      expect(await userOf(browser)).toBe('alice')
      expectNoEffect(visit)
      expect([(await browser.post(steps.LOGOUT)).status, await userOf(browser)]).toEqual([303, 302])
    },
  )
})
