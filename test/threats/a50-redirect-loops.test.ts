import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCounter } from '../support/refusal.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
afterAll(() => party[Symbol.asyncDispose]())

const BINDING = '__Host-vestibule_login'
const SESSION = '__Host-vestibule'
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

/** Opens the page as a browser does until something is not a redirect; `spoil` is done to it before each step. */
const open = async (browser: Visitor, spoil: (browser: Visitor) => void, uri = '/page') => {
  const steps: Visit[] = []
  let next: string | undefined = APP + uri
  while (next && steps.length < 60) {
    spoil(browser)
    const url = new URL(next)
    const isApp = url.origin === APP && !url.pathname.startsWith('/oauth2/')
    const visit: Visit = isApp
      ? await check(browser, url)
      : await browser.get(next, { headers: { traceparent: TRACE } })
    steps.push(visit)
    next = visit.location
  }
  return { steps, last: steps.at(-1) as Visit }
}

const check = (browser: Visitor, url: URL): Promise<Visit> =>
  party.vestibule.check(
    { uri: url.pathname + url.search },
    {
      Cookie: browser.cookies.header(url),
      'Sec-Fetch-Mode': 'navigate',
      'Sec-Fetch-Dest': 'document',
    },
  )

/** A browser whose user the provider knows, so that nobody needs to click. */
const knownBrowser = async (): Promise<Visitor> => {
  const { browser } = await party.attempt()
  browser.cookies.remove(BINDING)
  browser.cookies.remove(SESSION)
  return browser.copy()
}

const expectStopped = (last: Visit): void => {
  expect(last.status).toBe(400)
  expect(last.headers.location).toBeUndefined()
  expect(last.headers['refresh']).toBeUndefined()
  expect(last.body).not.toContain('http-equiv')
  expect(last.headers['cache-control']).toBe('no-store')
  expect(last.headers['content-type']).toMatch(/^text\/html/)
}

describe('A50 redirect loops and amplification', () => {
  test('a browser that keeps its cookies is at its page after one round', async () => {
    const { steps, last } = await open(await knownBrowser(), () => undefined)
    expect(last.status).toBe(200)
    expect(steps.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
  })

  test('a session that never comes back ends on a page after three rounds', async () => {
    const { steps, last } = await open(await knownBrowser(), (browser) => {
      browser.cookies.remove(SESSION)
    })
    expectStopped(last)
    expect(last.body).toContain('Sign-in keeps starting over')
    expect(last.body).toContain('Your browser does not send our sign-in cookie back')
    const callbacks = steps.filter(({ url }) => url.includes('/oauth2/callback'))
    expect(callbacks).toHaveLength(3)
  })

  test('a session that comes back and is not accepted ends on a page that says that', async () => {
    const wrong = `v1.${'A'.repeat(43)}.${'A'.repeat(43)}`
    const { last } = await open(await knownBrowser(), (browser) => {
      const cookie = browser.cookies.find(SESSION)
      if (cookie) browser.cookies.put({ ...cookie, value: wrong })
    })
    expectStopped(last)
    expect(last.body).toContain('our servers do not accept it')
    expect(last.body).not.toContain(wrong)
  })

  test('a browser that keeps no cookie at all ends on a page after one round', async () => {
    const { steps, last } = await open(await knownBrowser(), (browser) => {
      browser.cookies.remove(SESSION)
      browser.cookies.remove(BINDING)
    })
    expectStopped(last)
    expect(last.url).toContain('/oauth2/callback')
    expect(steps.filter(({ url }) => url.includes('/oauth2/login'))).toHaveLength(1)
  })

  test('a callback without the cookie of its sign-in is a page, each time it is loaded', async () => {
    const { callbackUrl } = await party.untilCallback()
    party.provider.forgetRequests()
    for (let round = 0; round < 5; round += 1) {
      expectStopped(await party.vestibule.visitor().get(callbackUrl))
    }
    expect(party.provider.count('token')).toBe(0)
  })

  test('a provider that refuses at once is not asked again by itself', async () => {
    const browser = await knownBrowser()
    const login = await browser.get(`${APP}/oauth2/login?rd=/page`)
    const state = new URL(login.location ?? '').searchParams.get('state')
    for (const error of ['access_denied', 'login_required', 'invalid_scope', 'evil']) {
      expectStopped(await browser.get(`${APP}/oauth2/callback?error=${error}&state=${state}`))
    }
  })

  test('after the page one more try is free, and then the circle is stopped again', async () => {
    const browser = await knownBrowser()
    const spoil = (each: Visitor) => each.cookies.remove(SESSION)
    expectStopped((await open(browser, spoil)).last)
    const healed = await open(browser, () => undefined)
    expect(healed.last.status).toBe(200)
    expectStopped((await open(browser, spoil)).last)
  })

  test('the circle is counted for the host, whatever page is opened', async () => {
    const browser = await knownBrowser()
    let last: Visit | undefined
    for (let round = 0; round < 4 && last?.status !== 400; round += 1) {
      browser.cookies.remove(SESSION)
      last = (await open(browser, () => undefined, `/page-${round}`)).last
    }
    expectStopped(last as Visit)
  })

  test('many tabs that sign in together are no circle', async () => {
    const browser = await knownBrowser()
    const started: Visit[] = []
    for (let tab = 0; tab < 10; tab += 1) {
      started.push(await browser.get(`${APP}/oauth2/login?rd=/tab-${tab}`))
    }
    const callbacks = await Promise.all(
      started.map(async ({ location }) => (await browser.get(location ?? '')).location ?? ''),
    )
    const answers = await Promise.all(callbacks.map((url) => browser.get(url)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 302))
    expect(answers.map(({ location }) => location)).toEqual(
      answers.map((_, tab) => `${APP}/tab-${tab}`),
    )
    expect((await browser.get(`${APP}/oauth2/login?rd=/next`)).status).toBe(302)
  })

  test('a counter that a visitor has changed moves nothing but their own circle', async () => {
    for (const value of [
      `v1.${'A'.repeat(43)}.999.0`,
      `v1.${'A'.repeat(43)}.3.${Math.floor(Date.now() / 1000)}`,
      `v1.${'A'.repeat(43)}.3.999999999999`,
      `v1.${'A'.repeat(43)}.-1.0`,
      `v1.${'A'.repeat(43)}.9999.0`,
      `v1.${'A'.repeat(43)}.NaN.Infinity`,
      '%00',
      'x'.repeat(4000),
    ]) {
      const visit = await party.vestibule.visitor().get(`${APP}/oauth2/login?rd=/page`, {
        headers: { Cookie: `${BINDING}=${value}` },
      })
      expect([302, 400]).toContain(visit.status)
      const binding = visit.setCookies.filter((each) => each.startsWith(`${BINDING}=`))
      expect(binding).toEqual([expect.stringMatching(/=v1\.[\w-]{43}\.\d{1,3}\.\d{1,12};/)])
      expect((await party.attempt()).isSignedIn).toBe(true)
    }
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test('a target that holds a sign-in that holds a sign-in does not grow from round to round', async () => {
    let url = `${APP}/oauth2/login?rd=/page`
    for (let depth = 0; depth < 8; depth += 1) url = `${APP}/a?rd=${encodeURIComponent(url)}`
    const { pathname, search } = new URL(url)
    const first = await party.vestibule.check({ uri: pathname + search })
    const { steps, last } = await open(
      await knownBrowser(),
      (browser) => browser.cookies.remove(SESSION),
      pathname + search,
    )
    expectStopped(last)
    const lengths = steps
      .filter((visit) => visit.url.includes('/auth') && visit.status === 302)
      .map(({ location = '' }) => location.length)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(first.location?.length ?? 0)
  })

  test('circles are counted', async () => {
    const before = await readCounter(party.vestibule, 'sign_in_loops')
    const spoil = (browser: Visitor) => browser.cookies.remove(SESSION)
    await open(await knownBrowser(), spoil)
    expect(await readCounter(party.vestibule, 'sign_in_loops')).toBe(before + 1)
    const line = party.vestibule.log().findLast(({ event }) => event === 'sign_in_loop')
    expect(line).toMatchObject({ host: 'app.example.com', traceparent: TRACE })
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
