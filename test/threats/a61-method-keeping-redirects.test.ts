import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT, startLogin, untilCallback } from '../support/sign-in-steps.ts'
import type { Visit } from '../support/visitor.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty({
    PUBLIC_URL: 'https://app.example.com',
    PROTECTED_HOSTS: 'app.example.com',
  })
})
afterAll(() => party[Symbol.asyncDispose]())

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']
const PATHS = [
  '/login?rd=/',
  '/login/',
  '/login?rd=/&prompt=login',
  '/callback?code=x&state=y',
  '/callback/',
  '/logout',
  '/logout/',
  '/signed-out',
  '/me',
  '',
  '/',
  '/nothing',
]

/** 302 after GET and HEAD, 303 after all else; nothing that repeats a body or is remembered. */
const expectRedirectKind = ({ status, method }: Pick<Visit, 'status' | 'method'>): void => {
  expect([301, 307, 308]).not.toContain(status)
  if (status >= 300 && status < 400) {
    expect(status).toBe(method === 'GET' || method === 'HEAD' ? 302 : 303)
  }
}

const isOurs = ({ url }: Visit): boolean => url.startsWith(APP)

describe('A61 redirects that keep the method', () => {
  test.for(METHODS)('%s on any path of the sign-in is never repeated elsewhere', async (method) => {
    const { browser } = await party.attempt()
    for (const visitor of [browser, party.vestibule.visitor()]) {
      for (const path of PATHS) {
        const visit = await visitor.request(method, `${APP}/oauth2${path}`, {
          headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
          ...(method !== 'GET' && method !== 'HEAD' && { body: 'password=secret' }),
        })
        expectRedirectKind(visit)
        expect(visit.location ?? '').not.toContain('secret')
        expect(visit.status).toBeLessThan(500)
      }
    }
  })

  test.for(METHODS)('the check never has %s repeated', async (method) => {
    const asPage = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }
    for (const headers of [asPage, { Accept: 'text/html' }, { 'X-Requested-With': 'x' }]) {
      const { status } = await party.vestibule.check({ method }, headers)
      expectRedirectKind({ status, method })
    }
  })

  test('a whole sign-in and sign-out is made of 302 after GET and 303 after POST', async () => {
    const browser = party.vestibule.visitor()
    expect((await browser.get(await untilCallback(browser, '/report'))).status).toBe(302)
    expect((await browser.post(LOGOUT)).status).toBe(303)
    const redirects = browser.trail.filter((visit) => isOurs(visit) && visit.location)
    expect(redirects.map(({ method, status }) => `${method} ${status}`)).toEqual([
      'GET 302',
      'GET 302',
      'POST 303',
    ])
    for (const visit of redirects) {
      expect(visit.headers['cache-control']).toBe('no-store')
      expect(URL.canParse(visit.headers.location ?? '')).toBe(true)
    }
  })

  test('a posted form is sent to the login by 303, a page by 302', async () => {
    expect((await party.vestibule.check({ method: 'POST' })).status).toBe(303)
    expect((await party.vestibule.check({ method: 'GET' })).status).toBe(302)
    const browser = party.vestibule.visitor()
    expect((await startLogin(browser)).status).toBe(302)
    expect((await browser.post(`${APP}/oauth2/login?rd=/`)).status).toBe(404)
    expect(cookieHeader(browser)).not.toContain('vestibule=')
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
