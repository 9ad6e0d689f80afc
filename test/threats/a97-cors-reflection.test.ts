import { beforeAll, describe, expect, test } from 'vitest'
import { bearerRule } from '../support/bearers.ts'
import { APP } from '../support/relying-party.ts'
import { asScript, useBearerParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useBearerParty([
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/denied/**'], access: 'deny' },
  bearerRule('/api/**', {}, { preflight: 'pass' }),
  bearerRule('/once/**', {}, { oneTime: true }),
  { access: 'signed-in' },
])
let cookie: string
let token: string

beforeAll(async () => {
  cookie = await party.vestibule.signIn('alice')
  token = await party.mint()
})

const ORIGINS = words`
  https://evil.test null https://app.example.com.evil.test https://evil.app.example.com
  https://evilapp.example.com http://app.example.com https://app.example.com:8443
  https://app.example.com * https://evil.test\t
`

function script(origin: string): VisitHeaders {
  return { Origin: origin, Accept: '*/*', ...asScript, 'Sec-Fetch-Site': 'cross-site' }
}

/** Asserts an answer without CORS headers that does not repeat the origin. */
function expectNoCors(visit: Visit, origin: string): void {
  const names = Object.keys(visit.headers)
  expect(names.filter((name) => name.startsWith('access-control-'))).toEqual([])
  const foreign = origin.includes('evil') || origin.includes('8443')
  if (foreign) expect(`${visit.rawHeaders.join('\n')}\n${visit.body}`).not.toContain(origin.trim())
}

describe('A97 CORS reflection', () => {
  test.for(ORIGINS)('no answer of the check allows or repeats %j', async (origin) => {
    const visits: Visit[] = []
    const credentials = [{ Cookie: cookie }, { Authorization: `Bearer ${token}` }]
    for (const uri of ['/', '/public/a', '/denied/a', '/api/a', '/once/a', '/oauth2/me']) {
      for (const credential of [{}, ...credentials, { Authorization: 'Bearer x' }]) {
        const headers = { ...script(origin), ...credential }
        visits.push(await party.check({ uri }, headers))
        const preflight = { ...headers, 'Access-Control-Request-Method': 'PUT' }
        visits.push(await party.check({ uri, method: 'OPTIONS' }, preflight))
      }
    }
    for (const visit of visits) expectNoCors(visit, origin)
    expect(new Set(visits.map(({ status }) => status))).toEqual(new Set([200, 401, 403]))
  })

  test('refusals of the check vary by the credentials', async () => {
    const { status, headers } = await party.check({}, script('https://evil.test'))
    const vary = 'Cookie, Authorization'
    expect({ status, ...headers }).toMatchObject({ status: 401, 'cache-control': 'no-store', vary })
  })

  test.for(ORIGINS)('no page of ours allows or repeats %j', async (origin) => {
    const browser = party.visitor()
    for (const path of ['/oauth2/me', '/oauth2/login?rd=/', '/oauth2/logout', '/healthz']) {
      for (const method of ['GET', 'OPTIONS']) {
        const headers = { ...script(origin), Cookie: cookie }
        expectNoCors(await browser.request(method, `${APP}${path}`, { headers }), origin)
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
    const { status, headers: answered } = await party.check(
      { uri: '/api/a', method: 'OPTIONS' },
      headers,
    )
    const nobody = { 'x-auth-request-user': '', 'x-auth-request-email': '' }
    expect({ status, ...answered }).toMatchObject({ status: 200, ...nobody })
  })
})
