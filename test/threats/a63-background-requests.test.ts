import { describe, expect, test } from 'vitest'
import { expectLogin, expectRefusal, loginRequired } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  cookieHeader,
  returnFromProvider,
  SESSION_COOKIE,
  startLogin,
  TARGET_COOKIE,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders, Visitor } from '../support/visitor.ts'

const party = useParty()
const old = {
  'Sec-Fetch-Mode': undefined,
  'Sec-Fetch-Dest': undefined,
  'Sec-Fetch-Site': undefined,
  'Sec-Fetch-User': undefined,
}

function kind(mode: string, dest: string, accept = '*/*'): VisitHeaders {
  return { 'Sec-Fetch-Mode': mode, 'Sec-Fetch-Dest': dest, Accept: accept }
}

const background: readonly (readonly [string, VisitHeaders])[] = [
  ['fetch', kind('cors', 'empty')],
  ['fetch for HTML', kind('cors', 'empty', 'text/html')],
  ['fetch of the same origin', kind('same-origin', 'empty')],
  ['an image', kind('no-cors', 'image', 'image/avif,image/*')],
  ['a script', kind('no-cors', 'script')],
  ['a style sheet', kind('no-cors', 'style', 'text/css')],
  ['a font', kind('cors', 'font')],
  ['a manifest', kind('cors', 'manifest')],
  ['a worker', kind('same-origin', 'worker')],
  ['a media file', kind('no-cors', 'video')],
  ['a frame', kind('navigate', 'iframe', 'text/html')],
  ['an old frame', kind('navigate', 'frame', 'text/html')],
  ['an embed', kind('navigate', 'embed', 'text/html')],
  ['an object', kind('navigate', 'object', 'text/html')],
  ['server-sent events', kind('cors', 'empty', 'text/event-stream')],
  ['a prefetched page', { 'Sec-Purpose': 'prefetch' }],
  ['a prerendered page', { 'Sec-Purpose': 'prefetch;prerender' }],
  ['a page prefetched by an older browser', { Purpose: 'prefetch' }],
  ['a WebSocket', { ...kind('websocket', 'empty'), 'Sec-WebSocket-Version': '13' }],
  ['an unknown mode', kind('hostile', 'document', 'text/html')],
  ['an unknown destination', kind('navigate', 'hostile', 'text/html')],
  ['old XMLHttpRequest', { ...old, 'X-Requested-With': 'XMLHttpRequest', Accept: 'text/html' }],
  ['an old image', { ...old, Accept: 'image/*' }],
  ['a program', { ...old, Accept: '*/*' }],
  ['a program without Accept', { ...old, Accept: undefined }],
  ['an API client', { ...old, Accept: 'application/json' }],
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
    ['an older browser', { ...old, Accept: 'text/html' }],
    ['a browser behind a link of another site', { 'Sec-Fetch-Site': 'cross-site' }],
  ])('the legitimate twin, a page opened by %s, is sent to the login', async ([, headers]) => {
    expectLogin(await party.check({ uri: '/page' }, headers), `${APP}/page`)
  })

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
  return Promise.all(Array.from({ length: count }, (_, at) => startLogin(browser, `/tab/${at}`)))
}

function expectTargets(visits: readonly Visit[]): void {
  expect(visits.map(({ location }) => location)).toEqual(visits.map((_, at) => `${APP}/tab/${at}`))
}

function ownCookies(browser: Visitor): readonly string[] {
  const own = browser.cookies.all().filter(({ domain }) => domain === 'app.example.com')
  return own.map(({ name }) => name)
}

function expectOneSmallBinding(browser: Visitor): void {
  expect(ownCookies(browser)).toEqual([BINDING_COOKIE])
  expect(cookieHeader(browser)?.length).toBeLessThan(300)
}

async function finish(browser: Visitor, started: Visit): Promise<Visit> {
  return browser.get(await returnFromProvider(browser, started))
}

// The design keeps one binding cookie and seals the rest into `state`, where the threats page has a cookie per attempt.
describe('A63 many tabs at once', () => {
  test('300 parallel navigations leave one cookie, and each tab finishes at its own target', async () => {
    const browser = party.visitor()
    await startLogin(browser)
    const tabs = await openTabs(browser, 300)
    expectOneSmallBinding(browser)
    const finished: Visit[] = []
    for (const tab of tabs) finished.push(await finish(browser, tab))
    expectTargets(finished)
    expect(party.provider.count('token')).toBe(1)
    expect(ownCookies(browser).toSorted()).toEqual([SESSION_COOKIE, BINDING_COOKIE])
  })

  test('tabs that come back at the same moment, before there is a session, all finish', async () => {
    const browser = party.visitor()
    await startLogin(browser)
    const urls: string[] = []
    for (const tab of await openTabs(browser, 20)) urls.push(await returnFromProvider(browser, tab))
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
    const started = await startLogin(browser, longTarget('a'))
    const state = new URL(started.location ?? '').searchParams.get('state') ?? ''
    expect(state.length).toBeLessThanOrEqual(900)
    expect(ownCookies(browser)).toEqual([BINDING_COOKIE, TARGET_COOKIE])
    expect(started.setCookies.join()).not.toContain('xxxx')
    expect((await finish(browser, started)).location).toBe(longTarget('a'))
    expect(ownCookies(browser).toSorted()).toEqual([SESSION_COOKIE, BINDING_COOKIE])
  })

  test('of several long targets the last one wins, and the others still sign in', async () => {
    const browser = party.visitor()
    const first = await startLogin(browser, longTarget('first'))
    const second = await startLogin(browser, longTarget('second'))
    const back = await returnFromProvider(browser, first)
    const later = await returnFromProvider(browser, second)
    expect(ownCookies(browser)).toEqual([BINDING_COOKIE, TARGET_COOKIE])
    expect((await browser.get(later)).location).toBe(longTarget('second'))
    expect((await browser.get(back)).location).toBe(`${APP}/`)
  })

  test.for<[string, string]>([
    ['a short one', '/short'],
    ['a long one', longTarget('other')],
  ])('a long target outlives another tab, %s, that finishes first', async ([, other]) => {
    const browser = party.visitor()
    const earlier = await returnFromProvider(browser, await startLogin(browser, other))
    const later = await returnFromProvider(browser, await startLogin(browser, longTarget('kept')))
    await browser.get(earlier)
    expect((await browser.get(later)).location).toBe(longTarget('kept'))
  })

  test('the cookies of a sign-in stay below 3.5 KB at the longest target', async () => {
    const browser = party.visitor()
    await finish(browser, await startLogin(browser, '/'))
    await startLogin(browser, `${APP}/${'x'.repeat(2048 - APP.length - 1)}`)
    expect(ownCookies(browser).toSorted()).toEqual([SESSION_COOKIE, BINDING_COOKIE, TARGET_COOKIE])
    expect(cookieHeader(browser)?.length).toBeLessThan(3500)
    expect(browser.trail.flatMap(({ refusedCookies }) => refusedCookies)).toEqual([])
  })
})
