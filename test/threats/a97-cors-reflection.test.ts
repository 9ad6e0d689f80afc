import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BearerParty, bearerRule, startBearerParty } from '../support/bearers.ts'
import { APP } from '../support/relying-party.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'

let party: BearerParty
let cookie: string
let token: string

beforeAll(async () => {
  party = await startBearerParty([
    { paths: ['/public/**'], access: 'public' },
    { paths: ['/denied/**'], access: 'deny' },
    bearerRule('/api/**', {}, { preflight: 'pass' }),
    bearerRule('/once/**', {}, { oneTime: true }),
    { access: 'signed-in' },
  ])
  cookie = await party.vestibule.signIn('alice')
  token = await party.mint()
})
afterAll(() => party[Symbol.asyncDispose]())

const ORIGINS = [
  'https://evil.test',
  'null',
  'https://app.example.com.evil.test',
  'https://evil.app.example.com',
  'https://evilapp.example.com',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com',
  '*',
  'https://evil.test\t',
]

const script = (origin: string): VisitHeaders => ({
  Origin: origin,
  Accept: '*/*',
  'Sec-Fetch-Mode': 'cors',
  'Sec-Fetch-Dest': 'empty',
  'Sec-Fetch-Site': 'cross-site',
})

/** No CORS header at all, and nothing that repeats the origin. */
const expectNoCors = (visit: Visit, origin: string): void => {
  const names = Object.keys(visit.headers)
  expect(names.filter((name) => name.startsWith('access-control-'))).toEqual([])
  const foreign = origin.includes('evil') || origin.includes('8443')
  if (foreign) expect(`${visit.rawHeaders.join('\n')}\n${visit.body}`).not.toContain(origin.trim())
}

describe('A97 CORS reflection', () => {
  test.for(ORIGINS)('no answer of the check allows or repeats %j', async (origin) => {
    const visits: Visit[] = []
    for (const uri of ['/', '/public/a', '/denied/a', '/api/a', '/once/a', '/oauth2/me']) {
      for (const credentials of [
        {},
        { Cookie: cookie },
        { Authorization: `Bearer ${token}` },
        { Authorization: 'Bearer x' },
      ]) {
        const headers = { ...script(origin), ...credentials }
        visits.push(await party.vestibule.check({ uri }, headers))
        const preflight = { ...headers, 'Access-Control-Request-Method': 'PUT' }
        visits.push(await party.vestibule.check({ uri, method: 'OPTIONS' }, preflight))
      }
    }
    for (const visit of visits) expectNoCors(visit, origin)
    expect(new Set(visits.map(({ status }) => status))).toEqual(new Set([200, 401, 403]))
  })

  test('refusals of the check are kept apart by who asked', async () => {
    const visit = await party.vestibule.check({}, script('https://evil.test'))
    expect(visit.status).toBe(401)
    expect(visit.headers).toMatchObject({
      'cache-control': 'no-store',
      vary: 'Cookie, Authorization',
    })
  })

  test.for(ORIGINS)('no page of ours allows or repeats %j', async (origin) => {
    const browser = party.vestibule.visitor()
    for (const path of ['/oauth2/me', '/oauth2/login?rd=/', '/oauth2/logout', '/healthz']) {
      for (const method of ['GET', 'OPTIONS']) {
        const headers = { ...script(origin), Cookie: cookie }
        const visit = await browser.request(method, `${APP}${path}`, { headers })
        expectNoCors(visit, origin)
      }
    }
  })

  test('a preflight that passes carries no identity, whoever is signed in', async () => {
    const headers = {
      ...script('https://evil.test'),
      'Access-Control-Request-Method': 'PUT',
      Cookie: cookie,
      Authorization: `Bearer ${token}`,
    }
    const visit = await party.vestibule.check({ uri: '/api/a', method: 'OPTIONS' }, headers)
    expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': '' } })
    expect(visit.headers['x-auth-request-email']).toBe('')
  })
})
