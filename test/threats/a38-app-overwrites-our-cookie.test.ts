import { expect, test } from 'vitest'
import { describeBrowsers } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP } from '../support/relying-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

const SESSION = '__Host-vestibule'
const OTHER = 'https://other.example.com'

const gateway = { addAuthCookies: ['__Host-vestibule_outage'] }
const hosts = prepared(() => startProxiedHosts({ gateway }))
const shared = prepared(() => startProxiedHosts({ settings: { COOKIE_DOMAIN: 'example.com' } }))

/** The app of a host answers with this cookie; the demo's app writes `; Path=/` behind it. */
function appSets(browser: Visitor, name: string, value: string, origin = APP): Promise<Visit> {
  const query = new URLSearchParams({ name, value: `${value}; Secure` })
  return browser.fetch(`${origin}/set-cookie?${query.toString()}`)
}

async function userAt(browser: Visitor, origin = APP): Promise<string | undefined> {
  const visit = await browser.fetch(`${origin}/headers`)
  if (visit.status !== 200) return undefined
  return givenTo(givenToApp(visit), 'X-Auth-Request-User')[0]
}

async function signIn(browser: Visitor, sub = 'alice', origin = APP): Promise<Visitor> {
  await browser.signIn(`${origin}/headers`, sub)
  expect(await userAt(browser, origin)).toBe(sub)
  return browser
}

describeBrowsers('A38 an app that writes our cookie', hosts, (open) => {
  // The residual risk is the documented one: an app can sign its own visitors out, or in as somebody else.
  test('a value that the app makes up is not a session, and one sign-in replaces it', async () => {
    const browser = await signIn(open())
    await appSets(browser, SESSION, 'attacker')
    expect(browser.cookies.find(SESSION)?.value).toBe('attacker')
    expect(await userAt(browser)).toBeUndefined()
    expect((await browser.browse(`${APP}/headers`)).status).toBe(200)
    expect(await userAt(browser)).toBe('alice')
  })

  test('a planted session of the attacker names the attacker, never the victim', async () => {
    const attacker = await signIn(open(), 'bob')
    const victim = await signIn(open())
    await appSets(victim, SESSION, attacker.cookies.find(SESSION)?.value ?? '')
    expect(await userAt(victim)).toBe('bob')
    const me = await victim.fetch(`${APP}/oauth2/me`)
    expect(JSON.parse(me.body)).toMatchObject({ sub: 'bob' })
    expect(me.body).not.toContain('alice')
  })

  test('a session of another host does not count here', async () => {
    const browser = await signIn(open())
    const elsewhere = await signIn(open(), 'bob', OTHER)
    await appSets(browser, SESSION, elsewhere.cookies.find(SESSION)?.value ?? '')
    expect(await userAt(browser)).toBeUndefined()
  })

  test('an app of another host cannot write it at all', async () => {
    const browser = await signIn(open())
    await browser.signIn(`${OTHER}/headers`, 'alice')
    for (const value of ['x; Domain=example.com', 'x; Domain=app.example.com']) {
      const visit = await appSets(browser, SESSION, value, OTHER)
      expect(visit.refusedCookies.join()).toContain(SESSION)
    }
    expect(await userAt(browser)).toBe('alice')
  })

  test('an outage cookie that the app writes opens nothing', async () => {
    const browser = await signIn(open())
    const visit = await appSets(browser, '__Host-vestibule_outage', 'x')
    // The check sets no cookie on this answer, and then Traefik lets the app's pass: it must be worth nothing.
    expect(visit.status).toBe(200)
    browser.cookies.remove(SESSION)
    expect(browser.cookies.find('__Host-vestibule_outage')?.value).toBe('x')
    expect(await userAt(browser)).toBeUndefined()
  })

  test('a binding that an app makes up does not prevent a later sign-in', async () => {
    const browser = await signIn(open())
    for (const value of [
      'x',
      `v1.${'A'.repeat(43)}.0.0`,
      `v1.${'A'.repeat(43)}.999.999999999999`,
    ]) {
      await appSets(browser, '__Host-vestibule_login', value)
      browser.cookies.remove(SESSION)
      const last = await browser.browse(`${APP}/headers`)
      const shown = last.status === 400 ? await browser.browse(`${APP}/headers`) : last
      expect([shown.status, await userAt(browser)]).toEqual([200, 'alice'])
    }
  })
})

describeBrowsers('A38 with COOKIE_DOMAIN', shared, (open) => {
  const NAME = '__Secure-vestibule'

  test('two session cookies lead to a page that removes both', async () => {
    const browser = await signIn(open())
    const own = browser.cookies.find(NAME)?.value ?? ''
    for (const pair of [`${NAME}=x; ${NAME}=${own}`, `${NAME}=${own}; ${NAME}=x`]) {
      const page = await browser.get(`${APP}/headers`, { headers: { Cookie: pair } })
      expect(page.status).toBe(400)
      const names = new Set(page.setCookies.map((line) => line.split('=')[0] ?? ''))
      expect(names).toEqual(new Set(['__Host-vestibule', NAME]))
      for (const line of page.setCookies) expect(line).toMatch(/Max-Age=0/)
      const script = await browser.fetch(`${APP}/headers`, { headers: { Cookie: pair } })
      expect([script.status, script.setCookies]).toEqual([401, []])
    }
  })

  test('an app of a sibling host can plant its own session and no other', async () => {
    const victim = await signIn(open())
    await victim.fetch(`${OTHER}/headers`)
    const made = await appSets(victim, NAME, 'x; Domain=example.com', OTHER)
    expect([made.status, await userAt(victim)]).toEqual([200, undefined])
    const attacker = await signIn(open(), 'bob')
    expect((await victim.browse(`${OTHER}/headers`)).status).toBe(200)
    const theirs = attacker.cookies.find(NAME)?.value ?? ''
    await appSets(victim, NAME, `${theirs}; Domain=example.com`, OTHER)
    expect(await userAt(victim)).toBe('bob')
  })

  test('a host-only twin from a sibling is not read', async () => {
    const browser = await signIn(open())
    await appSets(browser, '__Host-vestibule', 'x')
    expect(await userAt(browser)).toBe('alice')
  })
})
