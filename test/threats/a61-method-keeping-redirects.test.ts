import { expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { LOGOUT, untilCallback } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({ PUBLIC_URL: APP, PROTECTED_HOSTS: 'app.example.com' })
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']
const PATHS = ['/login?rd=/', '/login/', '/login?rd=/&prompt=login', '/callback?code=x&state=y']
const OTHER_PATHS = ['/callback/', '/logout', '/logout/', '/signed-out', '/me', '', '/', '/nothing']

/** Asserts 302 after GET and HEAD and 303 after other methods: no redirect repeats a body or is permanent. */
function expectRedirectKind(status: number, method: string): void {
  expect([301, 307, 308]).not.toContain(status)
  if (status < 300 || status >= 400) return
  expect(status).toBe(method === 'GET' || method === 'HEAD' ? 302 : 303)
}

test.for(METHODS)('%s on any path of the sign-in is never repeated elsewhere', async (method) => {
  const form = {
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    ...(method !== 'GET' && method !== 'HEAD' && { body: 'password=secret' }),
  }
  for (const visitor of [(await party.attempt()).browser, party.visitor()]) {
    for (const path of [...PATHS, ...OTHER_PATHS]) {
      const visit = await visitor.request(method, `${APP}/oauth2${path}`, form)
      expectRedirectKind(visit.status, method)
      expect(visit.location ?? '').not.toContain('secret')
      expect(visit.status).toBeLessThan(500)
    }
  }
})

test.for(METHODS)('the check never has %s repeated', async (method) => {
  const asPage = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }
  for (const headers of [asPage, { Accept: 'text/html' }, { 'X-Requested-With': 'x' }]) {
    expectRedirectKind((await party.check({ method }, headers)).status, method)
  }
})

test('a whole sign-in and sign-out is made of 302 after GET and 303 after POST', async () => {
  const browser = party.visitor()
  expect((await browser.get(await untilCallback(browser, '/report'))).status).toBe(302)
  expect((await browser.post(LOGOUT)).status).toBe(303)
  const redirects = browser.trail.filter(({ url, location }) => url.startsWith(APP) && location)
  const kinds = redirects.map(({ method, status }) => `${method} ${status}`)
  expect(kinds).toEqual(['GET 302', 'GET 302', 'POST 303'])
  for (const visit of redirects) {
    expect(visit.headers['cache-control']).toBe('no-store')
    expect(URL.canParse(visit.headers.location ?? '')).toBe(true)
  }
})
