import { describe, expect, test } from 'vitest'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visitor } from '../support/visitor.ts'

const SIGNED_OUT = `${APP}/oauth2/signed-out`

const party = useParty()

function bindingOf({ cookies }: Visitor) {
  return cookies.find(steps.BINDING_COOKIE)
}
function secretOf(browser: Visitor) {
  return bindingOf(browser)?.value.split('.')[1]
}

/** Signs a user in with a browser that has no session at the provider. */
async function signIn(browser: Visitor, sub: string) {
  expect((await browser.get(await steps.untilCallback(browser, '/', sub))).status).toBe(302)
  expect(await party.userOf(browser)).toBe(sub)
  forgetProvider(browser)
}

function forgetProvider({ cookies }: Visitor) {
  for (const { name, domain } of cookies.all()) if (domain === '127.0.0.1') cookies.remove(name)
}

/** Returns a callback URL that signs in as `sub`, made elsewhere by an attacker who knows this browser's binding. */
async function linkFor(browser: Visitor, sub = 'bob'): Promise<string> {
  const elsewhere = party.visitor()
  const binding = bindingOf(browser)
  if (binding) elsewhere.cookies.put(binding)
  return steps.untilCallback(elsewhere, '/', sub)
}

const changes: readonly (readonly [string, (browser: Visitor) => Promise<unknown>, string?])[] = [
  ['a sign-in', (browser) => signIn(browser, 'alice'), 'nobody'],
  ['a sign-out', (browser) => browser.post(steps.LOGOUT)],
  [
    'one that leaves the provider alone',
    (browser) => browser.post(steps.LOGOUT, { local: 'true' }),
  ],
  ['one by the page that asks', async (browser) => browser.submit(await browser.get(steps.LOGOUT))],
  [
    'one that ends nothing',
    (browser) => {
      browser.cookies.remove('__Host-vestibule')
      return browser.post(steps.LOGOUT)
    },
  ],
]

describe('C9: the binding is replaced when its holder may change', () => {
  test.for(changes)('C9: %s replaces the binding', async ([, change, before]) => {
    const browser = party.visitor()
    await (before ? steps.startLogin(browser) : signIn(browser, 'alice'))
    const [secret, link] = [secretOf(browser), await linkFor(browser)]
    await change(browser)
    expect(secretOf(browser)).toMatch(/^[\w-]{43}$/)
    expect(secretOf(browser)).not.toBe(secret)
    browser.cookies.remove('__Host-vestibule')
    steps.expectFailedSignIn(await browser.get(link))
    expect(await party.userOf(browser)).toBe(302)
  })

  test('C9: links made for an earlier user sign no later user in', async () => {
    const browser = party.visitor()
    const links: string[] = []
    await steps.startLogin(browser)
    links.push(await linkFor(browser))
    await signIn(browser, 'bob')
    links.push(await linkFor(browser))
    await browser.post(steps.LOGOUT, { local: 'true' })
    links.push(await linkFor(browser))
    await signIn(browser, 'alice')
    for (const link of links) {
      await browser.get(link)
      expect(await party.userOf(browser)).toBe('alice')
    }
  })

  test.for([
    ['a visit without our state', 'GET', {}],
    ['HEAD', 'HEAD', {}],
    ['a page loaded ahead', 'GET', { 'Sec-Purpose': 'prefetch' }],
    ['an image', 'GET', { 'Sec-Fetch-Dest': 'image' }],
  ] as const)('C9: %s at the signed-out page replaces nothing', async ([what, method, headers]) => {
    const browser = party.visitor()
    await signIn(browser, 'alice')
    const state = steps.sentAlong(await browser.post(steps.LOGOUT), 'state')
    const before = secretOf(browser)
    await browser.request(method, SIGNED_OUT, { headers })
    await browser.request(method, `${SIGNED_OUT}?state=of-another`, { headers })
    if (what !== 'a visit without our state')
      await browser.request(method, `${SIGNED_OUT}?state=${state}`, { headers })
    expect(secretOf(browser)).toBe(before)
  })
})

describe('C9: the replaced binding keeps nobody from going on', () => {
  test('C9: repeated sign-ins and sign-outs do not count as a loop', async () => {
    const browser = party.visitor()
    for (let round = 0; round < 5; round += 1) {
      await signIn(browser, 'alice')
      await browser.post(steps.LOGOUT, { local: 'true' })
    }
    expect((await steps.startLogin(browser)).status).toBe(302)
  })

  test('C9: a tab begun before another user signed in goes on as that user', async () => {
    const browser = party.visitor()
    const link = await steps.untilCallback(browser, '/mine', 'bob')
    forgetProvider(browser)
    party.provider.forgetRequests()
    await signIn(browser, 'alice')
    const spent = party.provider.count('token')
    expect((await browser.get(link)).location).toBe(`${APP}/mine`)
    expect(await party.userOf(browser)).toBe('alice')
    expect(party.provider.count('token')).toBe(spent)
  })

  test('C9: if that user has signed out since, the tab begins a new sign-in by itself, once', async () => {
    const browser = party.visitor()
    const link = await steps.untilCallback(browser, '/mine', 'bob')
    forgetProvider(browser)
    await signIn(browser, 'alice')
    await browser.post(steps.LOGOUT, { local: 'true' })
    const page = await browser.get(link)
    steps.expectFailedSignIn(page)
    const retry = /http-equiv="refresh" content="1;url=([^"]+)"/.exec(page.body)?.[1]
    const anew = await browser.get(String(retry).replaceAll('&amp;', '&'))
    expect(new URL(anew.location ?? '').origin).toBe(party.provider.issuer)
    const visit = await browser.get(await steps.returnFromProvider(browser, anew, 'alice'))
    expect([visit.location, await party.userOf(browser)]).toEqual([`${APP}/mine`, 'alice'])
  })
})

test('C9: a sign-out at an app’s own host replaces the binding of the host of the sign-in', async () => {
  await using shared = await startRelyingParty({ PUBLIC_URL: APP, COOKIE_DOMAIN: 'example.com' })
  const browser = shared.vestibule.visitor()
  expect((await browser.get(await steps.untilCallback(browser))).status).toBe(302)
  const before = secretOf(browser)
  const OTHER = 'https://other.example.com'
  const visit = await browser.post(`${OTHER}/oauth2/logout`, { local: 'true', rd: `${OTHER}/bye` })
  expect(visit.location).toMatch(`${SIGNED_OUT}?state=`)
  expect((await browser.get(visit.location ?? '')).location).toBe(`${OTHER}/bye`)
  expect(secretOf(browser)).not.toBe(before)
})
