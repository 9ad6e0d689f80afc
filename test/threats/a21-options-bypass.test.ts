import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo, startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import { writeRules } from '../support/rules-file.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'
import { FORWARDED, requestCheck } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const rules = prepared(() =>
  writeRules([
    { paths: ['/api/admin/**'], access: 'signed-in', groups: ['admins'] },
    { paths: ['/api/**'], access: 'signed-in', preflight: 'pass' },
    { paths: ['/write/**'], methods: ['POST'], access: 'signed-in', preflight: 'pass' },
    { paths: ['/public/**'], access: 'public' },
    { access: 'signed-in' },
  ]),
)
const app = prepared(() =>
  startProtectedApp({ VESTIBULE_CONFIG: rules().path, ALLOW_ANY_USER: 'false' }),
)
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

const ORIGIN = 'https://other.example.com'
const preflight = {
  Origin: ORIGIN,
  'Access-Control-Request-Method': 'GET',
  'Sec-Fetch-Mode': 'cors',
  'Sec-Fetch-Dest': 'empty',
}
const NAMES = ['user', 'email', 'preferred-username', 'name', 'groups']

function options(uri: string, headers: VisitHeaders = preflight): Promise<Visit> {
  return vestibule().check({ method: 'OPTIONS', uri }, headers)
}

describe('A21 OPTIONS', () => {
  test.for<[string, VisitHeaders]>([
    ['without anything', {}],
    ['as a preflight', preflight],
    ['as a preflight from anywhere', { ...preflight, Origin: 'https://evil.example' }],
    ['as a preflight from nowhere', { ...preflight, Origin: 'null' }],
    ['with Origin alone', { Origin: ORIGIN }],
    ['with a method alone', { 'Access-Control-Request-Method': 'GET' }],
    ['of an old browser', { Accept: 'text/html', 'Sec-Fetch-Mode': undefined }],
  ])('OPTIONS is protected where no rule says otherwise: %s', async ([, headers]) => {
    for (const uri of ['/', '/admin', '/api/admin/users', '/apis', '/api-v2/a', '/write/a']) {
      const visit = await options(uri, headers)
      expectRefusal(visit, 401, ['evil.example'])
      expect(visit.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('a preflight passes where a rule says so, and as nobody', async () => {
    for (const headers of [preflight, { ...preflight, Cookie: cookie() }]) {
      const visit = await options('/api/a', headers)
      expect([visit.status, visit.body, visit.setCookies]).toEqual([200, '', []])
      for (const name of NAMES) expect(visit.headers[`x-auth-request-${name}`]).toBe('')
      expect(visit.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test.for<[string, VisitHeaders]>([
    ['nothing', {}],
    ['no Origin', { ...preflight, Origin: undefined }],
    ['an empty Origin', { ...preflight, Origin: '' }],
    ['no method', { ...preflight, 'Access-Control-Request-Method': undefined }],
    ['an empty method', { ...preflight, 'Access-Control-Request-Method': '' }],
    ['headers instead of a method', { Origin: ORIGIN, 'Access-Control-Request-Headers': 'x-a' }],
    ['another spelling', { Origin: 'https://a.example', Access_Control_Request_Method: 'GET' }],
  ])('an OPTIONS that is no preflight does not pass there: %s', async ([, headers]) => {
    expectRefusal(await options('/api/a', headers), 401)
  })

  test.for(words`GET HEAD POST PUT DELETE PATCH QUERY`)('%s is no preflight', async (method) => {
    expectRefusal(await vestibule().check({ method, uri: '/api/a' }, preflight), 401)
  })

  test.for(words`
    /api/%61dmin/users /api/ADMIN/users /api//admin/users /api;x/admin/users /api/admin%2fusers
  `)('an ambiguous path does not pass as a preflight: %s', async (uri) => {
    expectRefusal(await options(uri), 401)
  })

  test.for(['/api/../admin', '/api/%2e%2e/admin', '/api/..%2fadmin', '/api/..;/admin'])(
    'a preflight with a hidden dot segment is refused: %s',
    async (uri) => expectRefusal(await options(uri), 400),
  )

  test('a method that is overridden is refused, not passed', async () => {
    expectRefusal(await options('/api/a', { ...preflight, 'X-HTTP-Method-Override': 'GET' }), 400)
  })

  test('a body is not read and decides nothing', async () => {
    const ask = (uri: string, body: string) =>
      requestCheck(vestibule(), 'OPTIONS', {
        body,
        headers: {
          ...FORWARDED,
          ...preflight,
          'X-Forwarded-Method': 'OPTIONS',
          'X-Forwarded-Uri': uri,
        },
      })
    expectRefusal(await ask('/admin', '{"method":"GET"}'), 401)
    expect((await ask('/api/a', 'a'.repeat(100_000))).status).toBe(200)
  })
})

describeGateways('A21 OPTIONS', app, (send) => {
  const forged = ['X-Auth-Request-User', 'admin', 'x-auth-request-groups', 'admins']

  test('a preflight that passes brings the app no identity, forged or real', async () => {
    const headers = [...Object.entries(preflight).flat(), ...forged, 'Cookie', `${cookie()}; a=1`]
    const passage = await send({ method: 'OPTIONS', target: '/api/a', headers })
    expect(passage).toMatchObject({ status: 200, app: { method: 'OPTIONS', url: '/api/a' } })
    for (const name of NAMES) expect(givenTo(passage.app, `X-Auth-Request-${name}`)).toEqual([''])
    expect(givenTo(passage.app, 'Cookie')).toEqual(['a=1'])
  })

  test('every other OPTIONS ends before the app', async () => {
    const asked = Object.entries(preflight).flat()
    for (const [target, headers] of [
      ['/admin', asked],
      ['/api/a', []],
      ['/api/../admin', asked],
      ['/api/admin/users', asked],
    ] as const) {
      expect(await send({ method: 'OPTIONS', target, headers })).toMatchObject({
        status: 401,
        app: undefined,
        location: undefined,
      })
    }
  })
})
