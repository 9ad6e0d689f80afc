import { beforeAll, describe, expect, test } from 'vitest'
import { expectLogin, expectRefusal, loginRequired } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const party = useParty()
let endedCookie: string | undefined

beforeAll(async () => {
  const { browser } = await party.attempt()
  endedCookie = cookieHeader(browser)
  await browser.post(LOGOUT)
})

const OLD = {
  'Sec-Fetch-Mode': undefined,
  'Sec-Fetch-Dest': undefined,
  'Sec-Fetch-Site': undefined,
}
const form = { method: 'POST', uri: '/orders/42/cancel?confirm=1' } as const
const referers: readonly (readonly [referer: string | undefined, target: string])[] = [
  [`${APP}/orders/42`, `${APP}/orders/42`],
  [`${APP}/orders?page=2&sort=a%20b`, `${APP}/orders?page=2&sort=a%20b`],
  [`${APP}/`, `${APP}/`],
  [undefined, `${APP}/`],
  ['', `${APP}/`],
  [APP, `${APP}/`],
  ['about:blank', `${APP}/`],
  ['https://evil.example/', `${APP}/`],
  ['https://other.example.com/orders', `${APP}/`],
  ['http://app.example.com/orders', `${APP}/`],
  ['https://app.example.com:444/orders', `${APP}/`],
  ['https://app.example.com.evil.example/orders', `${APP}/`],
  ['https://app.example.com@evil.example/orders', `${APP}/`],
  ['https://app.example.com//evil.example/', `${APP}/`],
  ['https://app.example.com/\\evil.example/', `${APP}/`],
  ['https://app.example.com/\tevil', `${APP}/`],
  ['https://app.example.com/oauth2/logout', `${APP}/`],
  ['https://app.example.com/oauth2/login?rd=https://evil.example/', `${APP}/`],
  ['https://app.example.com/x/..//evil.example', `${APP}/`],
  ['javascript:alert(1)//app.example.com/', `${APP}/`],
  [`${APP}/${'x'.repeat(4000)}`, `${APP}/`],
  ['/orders', `${APP}/`],
]

describe('A62 POST navigation with an expired session', () => {
  test.for(referers)('a form posted from %s is led back to %s', async ([referer, target]) => {
    const visit = await party.check(form, { Referer: referer, Cookie: endedCookie })
    expectLogin(visit, target, ['evil', 'orders/42/cancel', 'confirm=1'], 303)
  })

  test('an older browser without fetch metadata is led back as well', async () => {
    const headers = {
      ...OLD,
      'Sec-Fetch-User': undefined,
      Accept: 'text/html,*/*;q=0.8',
      Referer: `${APP}/orders/42`,
    }
    expectLogin(await party.check(form, headers), `${APP}/orders/42`, ['cancel'], 303)
  })

  test.for(words`PUT PATCH DELETE OPTIONS`)('%s is no form of a page: 401', async (method) => {
    const visit = await party.check({ ...form, method }, { Cookie: endedCookie })
    expectRefusal(visit, 401, ['cancel'])
  })

  test.for<[string, Record<string, string | undefined>]>([
    ['fetch', { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }],
    ['a form in a frame', { 'Sec-Fetch-Dest': 'iframe' }],
    ['sendBeacon', { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'empty' }],
    ['XMLHttpRequest of old', { 'X-Requested-With': 'XMLHttpRequest', ...OLD }],
    ['a program', { Accept: 'application/json', ...OLD }],
    ['gRPC-web', { 'Content-Type': 'application/grpc-web+proto', ...OLD }],
  ])('a POST by %s gets 401 and the way to sign in', async ([, headers]) => {
    const visit = await party.check(form, { Referer: `${APP}/orders/42`, ...headers })
    expectRefusal(visit, 401, ['cancel'])
    expect(visit.headers['www-authenticate']).toBeTruthy()
    expect(JSON.parse(visit.body)).toEqual(loginRequired(`${APP}/orders/42`))
  })

  test('after the sign-in the page is opened again by GET, and the post is not repeated', async () => {
    const { location = '' } = await party.check(form, { Referer: `${APP}/orders/42` })
    const last = await party.visitor().signIn(location, 'alice')
    expect([last.method, last.url]).toEqual(['GET', `${APP}/orders/42`])
  })

  test('the legitimate twin, a form with a session, passes', async () => {
    const { browser } = await party.attempt()
    const visit = await party.check(form, { Cookie: cookieHeader(browser) })
    expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, 'alice'])
  })
})
