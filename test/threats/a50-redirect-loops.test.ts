import { describe, expect, test } from 'vitest'
import { readCounter } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { BINDING_COOKIE, SESSION_COOKIE, sentAlong, startLogin } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

const party = useParty()

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

/** Opens the page as a browser does until something is not a redirect; `spoil` is done to it before each step. */
async function open(browser: Visitor, spoil: (browser: Visitor) => void, uri = '/page') {
  const steps: Visit[] = []
  let next: string | undefined = APP + uri
  while (next && steps.length < 60) {
    spoil(browser)
    const url = new URL(next)
    const isApp = url.origin === APP && !url.pathname.startsWith('/oauth2/')
    const headers = { traceparent: TRACE }
    const visit: Visit = isApp ? await check(browser, url) : await browser.get(next, { headers })
    steps.push(visit)
    next = visit.location
  }
  return { steps, last: steps.at(-1) as Visit }
}

function check(browser: Visitor, url: URL): Promise<Visit> {
  const navigation = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }
  const headers = { Cookie: browser.cookies.header(url), ...navigation }
  return party.check({ uri: url.pathname + url.search }, headers)
}

/** A browser whose user the provider knows, so that nobody needs to click. */
async function knownBrowser(): Promise<Visitor> {
  const { browser } = await party.attempt()
  browser.cookies.remove(BINDING_COOKIE)
  browser.cookies.remove(SESSION_COOKIE)
  return browser.copy()
}

function expectStopped({ status, headers, body }: Visit, texts: readonly string[] = []): void {
  expect({ status, ...headers }).toMatchObject({
    status: 400,
    'cache-control': 'no-store',
  })
  expect(headers['content-type']).toMatch(/^text\/html/)
  expect([headers.location, headers['refresh']]).toEqual([undefined, undefined])
  expect(body).not.toContain('http-equiv')
  for (const text of texts) expect(body).toContain(text)
}

const binding = (counter: string) => `v1.${'A'.repeat(43)}.${counter}`
const keepsAll = () => undefined
const losesSession = ({ cookies }: Visitor) => cookies.remove(SESSION_COOKIE)

describe('A50 redirect loops and amplification', () => {
  test('a browser that keeps its cookies is at its page after one round', async () => {
    const { steps, last } = await open(await knownBrowser(), keepsAll)
    expect(last.status).toBe(200)
    expect(steps.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
  })

  test('a session that never comes back ends on a page after three rounds', async () => {
    const { steps, last } = await open(await knownBrowser(), losesSession)
    expectStopped(last, [
      'Sign-in keeps starting over',
      'Your browser does not send our sign-in cookie back',
    ])
    expect(steps.filter(({ url }) => url.includes('/oauth2/callback'))).toHaveLength(3)
  })

  test('a session that comes back and is not accepted ends on a page that says that', async () => {
    const wrong = `v1.${'A'.repeat(43)}.${'A'.repeat(43)}`
    const { last } = await open(await knownBrowser(), (browser) => {
      const cookie = browser.cookies.find(SESSION_COOKIE)
      if (cookie) browser.cookies.put({ ...cookie, value: wrong })
    })
    expectStopped(last, ['our servers do not accept it'])
    expect(last.body).not.toContain(wrong)
  })

  test('a browser that keeps no cookie at all ends on a page after one round', async () => {
    const { steps, last } = await open(await knownBrowser(), (browser) => {
      browser.cookies.remove(SESSION_COOKIE)
      browser.cookies.remove(BINDING_COOKIE)
    })
    expectStopped(last)
    expect(last.url).toContain('/oauth2/callback')
    expect(steps.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
  })

  test('a callback without the cookie of its sign-in is a page, each time it is loaded', async () => {
    const { callbackUrl } = await party.untilCallback()
    party.provider.forgetRequests()
    for (let round = 0; round < 5; round += 1) {
      expectStopped(await party.visitor().get(callbackUrl))
    }
    expect(party.provider.count('token')).toBe(0)
  })

  test('a provider that refuses at once is not asked again by itself', async () => {
    const browser = await knownBrowser()
    const state = sentAlong(await startLogin(browser, '/page'), 'state')
    for (const error of ['access_denied', 'login_required', 'invalid_scope', 'evil']) {
      expectStopped(await browser.get(`${APP}/oauth2/callback?error=${error}&state=${state}`))
    }
  })

  test('after the page one more try is free, and then the circle is stopped again', async () => {
    const browser = await knownBrowser()
    expectStopped((await open(browser, losesSession)).last)
    expect((await open(browser, keepsAll)).last.status).toBe(200)
    expectStopped((await open(browser, losesSession)).last)
  })

  test('the circle is counted for the host, whatever page is opened', async () => {
    const browser = await knownBrowser()
    let last: Visit | undefined
    for (let round = 0; round < 4 && last?.status !== 400; round += 1) {
      browser.cookies.remove(SESSION_COOKIE)
      last = (await open(browser, keepsAll, `/page-${round}`)).last
    }
    expectStopped(last as Visit)
  })

  test('many tabs that sign in together are not taken for a circle', async () => {
    const browser = await knownBrowser()
    const started: Visit[] = []
    for (let tab = 0; tab < 10; tab += 1) started.push(await startLogin(browser, `/tab-${tab}`))
    const callbacks = await Promise.all(
      started.map(async ({ location }) => (await browser.get(location ?? '')).location ?? ''),
    )
    const answers = await Promise.all(callbacks.map((url) => browser.get(url)))
    expect(answers.map(({ status, location }) => [status, location])).toEqual(
      answers.map((_, tab) => [302, `${APP}/tab-${tab}`]),
    )
    expect((await startLogin(browser, '/next')).status).toBe(302)
  })

  test.for([
    ...['999.0', '3.999999999999', '-1.0', '9999.0', 'NaN.Infinity'].map(binding),
    binding(`3.${Math.floor(Date.now() / 1000)}`),
    '%00',
    'x'.repeat(4000),
  ])('a counter that a visitor has changed affects only their own circle: %s', async (value) => {
    const headers = { Cookie: `${BINDING_COOKIE}=${value}` }
    const visit = await party.visitor().get(`${APP}/oauth2/login?rd=/page`, { headers })
    expect([302, 400]).toContain(visit.status)
    expect(visit.setCookies.filter((each) => each.startsWith(`${BINDING_COOKIE}=`))).toEqual([
      expect.stringMatching(/=v1\.[\w-]{43}\.\d{1,3}\.\d{1,12};/),
    ])
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test('a target that holds a sign-in that holds a sign-in does not grow from round to round', async () => {
    let url = `${APP}/oauth2/login?rd=/page`
    for (let depth = 0; depth < 8; depth += 1) url = `${APP}/a?rd=${encodeURIComponent(url)}`
    const uri = url.slice(APP.length)
    const first = await party.check({ uri })
    const { steps, last } = await open(await knownBrowser(), losesSession, uri)
    expectStopped(last)
    const lengths = steps
      .filter((visit) => visit.url.includes('/auth') && visit.status === 302)
      .map(({ location = '' }) => location.length)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(first.location?.length ?? 0)
  })

  test('circles are counted', async () => {
    const before = await readCounter(party.vestibule, 'sign_in_loops')
    await open(await knownBrowser(), losesSession)
    expect(await readCounter(party.vestibule, 'sign_in_loops')).toBe(before + 1)
    const line = party.vestibule.log().findLast(({ event }) => event === 'sign_in_loop')
    expect(line).toMatchObject({ host: 'app.example.com', traceparent: TRACE })
  })
})
