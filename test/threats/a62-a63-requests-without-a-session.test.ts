import { beforeAll, describe, expect, test } from 'vitest'
import { expectLogin, expectRefusal, loginRequired } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders, Visitor } from '../support/visitor.ts'
import { rows, words } from '../support/words.ts'

const party = useParty()
let endedCookie: string | undefined

beforeAll(async () => {
  const { browser } = await party.attempt()
  endedCookie = steps.cookieHeader(browser)
  await browser.post(steps.LOGOUT)
})

const OLD: VisitHeaders = Object.fromEntries(
  words`Mode Dest Site User`.map((name) => [`Sec-Fetch-${name}`, undefined]),
)
const form = { method: 'POST', uri: '/orders/42/cancel?confirm=1' } as const
const referers: readonly (readonly [referer: string | undefined, target: string])[] = [
  ...words`
    ${APP}/orders/42 ${APP}/orders?page=2&sort=a%20b ${APP}/
  `.map((page) => [page, page] as const),
  [undefined, `${APP}/`],
  ['', `${APP}/`],
  ...rows`
    ${APP} about:blank https://evil.example/ https://other.example.com/orders
    http://app.example.com/orders https://app.example.com:444/orders
    https://app.example.com.evil.example/orders https://app.example.com@evil.example/orders
    https://app.example.com//evil.example/ https://app.example.com/\\evil.example/
    https://app.example.com/\tevil https://app.example.com/oauth2/logout /orders //evil.example
    https://app.example.com/oauth2/login?rd=https://evil.example/ ${APP}/x/..//evil.example
    ${APP}/.//evil.example javascript:alert(1)//app.example.com/ ${APP}/${'x'.repeat(4000)}
  `(`${APP}/`),
]

test.for(referers)(
  'A62: a form posted from %s is led back to %s (A41)',
  async ([referer, target]) => {
    const visit = await party.check(form, { Referer: referer, Cookie: endedCookie })
    expectLogin(visit, target, ['evil', 'orders/42/cancel', 'confirm=1'], 303)
  },
)

test('A62: an older browser without fetch metadata is led back as well', async () => {
  const headers = {
    ...OLD,
    Accept: 'text/html,*/*;q=0.8',
    Referer: `${APP}/orders/42`,
  }
  expectLogin(await party.check(form, headers), `${APP}/orders/42`, ['cancel'], 303)
})

test.for(words`PUT PATCH DELETE OPTIONS`)('A62: %s is no form of a page: 401', async (method) =>
  expectRefusal(await party.check({ ...form, method }, { Cookie: endedCookie }), 401, ['cancel']),
)

test.for<[string, VisitHeaders]>([
  ['fetch', { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }],
  ['XMLHttpRequest of old', { 'X-Requested-With': 'XMLHttpRequest', ...OLD }],
])('A62: a POST by %s gets 401 and the way to sign in', async ([, headers]) => {
  const visit = await party.check(form, { Referer: `${APP}/orders/42`, ...headers })
  expectRefusal(visit, 401, ['cancel'])
  expect(visit.headers['www-authenticate']).toBeTruthy()
  expect(JSON.parse(visit.body)).toEqual(loginRequired(`${APP}/orders/42`))
})

test('A62: after the sign-in the page is opened again by GET, and the post is not repeated', async () => {
  const { location = '' } = await party.check(form, { Referer: `${APP}/orders/42` })
  const last = await party.visitor().signIn(location, 'alice')
  expect([last.method, last.url]).toEqual(['GET', `${APP}/orders/42`])
})

test('A62: the legitimate twin, a form with a session, passes', async () => {
  const { browser } = await party.attempt()
  const visit = await party.check(form, { Cookie: steps.cookieHeader(browser) })
  expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, 'alice'])
})

function kind(mode: string, dest: string, accept = '*/*'): VisitHeaders {
  return { 'Sec-Fetch-Mode': mode, 'Sec-Fetch-Dest': dest, Accept: accept }
}

const background: readonly (readonly [string, VisitHeaders])[] = [
  ['fetch', kind('cors', 'empty')],
  ['an image', kind('no-cors', 'image', 'image/avif,image/*')],
  ['a frame', kind('navigate', 'iframe', 'text/html')],
  ['an object', kind('navigate', 'object', 'text/html')],
  ['a prefetched page', { 'Sec-Purpose': 'prefetch' }],
  ['a page prefetched by an older browser', { Purpose: 'prefetch' }],
  ['a WebSocket', { ...kind('websocket', 'empty'), 'Sec-WebSocket-Version': '13' }],
  ['a program', { ...OLD, Accept: '*/*' }],
]

describe('A63 requests of pages that must not begin a sign-in', () => {
  test.for(background)('%s gets 401, no cookie and no way to the provider', async ([, headers]) => {
    const visit = await party.check({ uri: '/asset' }, headers)
    expectRefusal(visit, 401)
    expect(visit.headers['www-authenticate']).toBeTruthy()
    expect(JSON.parse(visit.body)).toEqual(loginRequired(`${APP}/`))
    expect(party.provider.count('authorization')).toBe(0)
  })

  test.for<[string, VisitHeaders]>([
    ['a browser', {}],
    ['an older browser', { ...OLD, Accept: 'text/html' }],
    ['a browser behind a link of another site', { 'Sec-Fetch-Site': 'cross-site' }],
  ])('A63: the legitimate twin, a page opened by %s, is sent to the login', async ([, headers]) =>
    expectLogin(await party.check({ uri: '/page' }, headers), `${APP}/page`),
  )

  test('a page and its 30 assets at once begin one sign-in and set no cookie', async () => {
    const kinds = Array.from({ length: 30 }, (_, at) => background[at % background.length])
    const [page, ...assets] = await Promise.all([
      party.check({ uri: '/page' }),
      ...kinds.map((each) => party.check({ uri: '/asset' }, each?.[1] ?? {})),
    ])
    expectLogin(page, `${APP}/page`)
    for (const asset of assets) expectRefusal(asset, 401)
  })
})

function openTabs(browser: Visitor, count: number): Promise<Visit[]> {
  return Promise.all(
    Array.from({ length: count }, (_, at) => steps.startLogin(browser, `/tab/${at}`)),
  )
}

function expectTargets(visits: readonly Visit[]): void {
  expect(visits.map(({ location }) => location)).toEqual(visits.map((_, at) => `${APP}/tab/${at}`))
}

function ownCookies(browser: Visitor): readonly string[] {
  const own = browser.cookies.all().filter(({ domain }) => domain === 'app.example.com')
  return own.map(({ name }) => name)
}

function expectOneSmallBinding(browser: Visitor): void {
  expect(ownCookies(browser)).toEqual([steps.BINDING_COOKIE])
  expect(steps.cookieHeader(browser)?.length).toBeLessThan(300)
}

async function finish(browser: Visitor, started: Visit): Promise<Visit> {
  return browser.get(await steps.returnFromProvider(browser, started))
}

// The design keeps one binding cookie and seals the rest into `state`, where the threats page has a cookie per attempt.
describe('A63 many tabs at once', () => {
  test('300 parallel navigations leave one cookie, and each tab finishes at its own target', async () => {
    const browser = party.visitor()
    await steps.startLogin(browser)
    const tabs = await openTabs(browser, 300)
    expectOneSmallBinding(browser)
    const finished: Visit[] = []
    for (const tab of tabs) finished.push(await finish(browser, tab))
    expectTargets(finished)
    expect(party.provider.count('token')).toBe(1)
    expect(ownCookies(browser).toSorted()).toEqual([steps.SESSION_COOKIE, steps.BINDING_COOKIE])
  })

  test('tabs that come back at the same moment, before there is a session, all finish', async () => {
    const browser = party.visitor()
    await steps.startLogin(browser)
    const urls: string[] = []
    for (const tab of await openTabs(browser, 20))
      urls.push(await steps.returnFromProvider(browser, tab))
    expectTargets(await Promise.all(urls.map((url) => browser.get(url))))
    expect(urls).toHaveLength(20)
    expect(await party.userOf(browser)).toBe('alice')
  })

  test('tabs of a browser that has no cookie yet all finish, as when it restores its windows', async () => {
    const browser = party.visitor()
    const tabs = await openTabs(browser, 20)
    expectOneSmallBinding(browser)
    const landed: Visit[] = []
    for (const tab of tabs) landed.push(await landingOf(browser, await finish(browser, tab)))
    expectTargets(landed)
  })
})

/** The last answer of a tab; a tab whose binding another replaced restarts from the error page by itself, once. */
async function landingOf(browser: Visitor, back: Visit): Promise<Visit> {
  if (back.status === 302) return back
  expectRefusal(back, 400)
  const next = /http-equiv="refresh" content="1;url=([^"]+)"/.exec(back.body)?.[1]
  const restarted = await browser.get((next ?? '').replaceAll('&amp;', '&'))
  const isAtProvider = restarted.location?.startsWith(party.provider.issuer)
  return isAtProvider ? finish(browser, restarted) : restarted
}

function longTarget(name: string): string {
  return `${APP}/${name}?q=${'x'.repeat(1200)}`
}

describe('A63 targets too long for the state', () => {
  test('a long target travels in one further cookie, and the state stays below 900 characters', async () => {
    const browser = party.visitor()
    const started = await steps.startLogin(browser, longTarget('a'))
    const state = new URL(started.location ?? '').searchParams.get('state') ?? ''
    expect(state.length).toBeLessThanOrEqual(900)
    expect(ownCookies(browser)).toEqual([steps.BINDING_COOKIE, steps.TARGET_COOKIE])
    expect(started.setCookies.join()).not.toContain('xxxx')
    expect((await finish(browser, started)).location).toBe(longTarget('a'))
    expect(ownCookies(browser).toSorted()).toEqual([steps.SESSION_COOKIE, steps.BINDING_COOKIE])
  })

  test('of several long targets the last one wins, and the others still sign in', async () => {
    const browser = party.visitor()
    const first = await steps.startLogin(browser, longTarget('first'))
    const second = await steps.startLogin(browser, longTarget('second'))
    const back = await steps.returnFromProvider(browser, first)
    const later = await steps.returnFromProvider(browser, second)
    expect(ownCookies(browser)).toEqual([steps.BINDING_COOKIE, steps.TARGET_COOKIE])
    expect((await browser.get(later)).location).toBe(longTarget('second'))
    expect((await browser.get(back)).location).toBe(`${APP}/`)
  })

  test.for<[string, string]>([
    ['a short one', '/short'],
    ['a long one', longTarget('other')],
  ])('A63: a long target outlives another tab, %s, that finishes first', async ([, other]) => {
    const browser = party.visitor()
    const earlier = await steps.returnFromProvider(browser, await steps.startLogin(browser, other))
    const later = await steps.returnFromProvider(
      browser,
      await steps.startLogin(browser, longTarget('kept')),
    )
    await browser.get(earlier)
    expect((await browser.get(later)).location).toBe(longTarget('kept'))
  })
})
