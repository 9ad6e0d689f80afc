import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo, startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import { writeRules } from '../support/rules-file.ts'
import { createVisitor, type VisitHeaders } from '../support/visitor.ts'
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

const preflight = {
  Origin: 'https://other.example.com',
  'Access-Control-Request-Method': 'GET',
  'Sec-Fetch-Mode': 'cors',
  'Sec-Fetch-Dest': 'empty',
}
const NAMES = ['user', 'email', 'preferred-username', 'name', 'groups']

describe('A21 OPTIONS', () => {
  test.for<[string, VisitHeaders]>([
    ['without anything', {}],
    ['as a preflight', preflight],
    ['as a preflight from anywhere', { ...preflight, Origin: 'https://evil.example' }],
    ['as a preflight from nowhere', { ...preflight, Origin: 'null' }],
    ['with Origin alone', { Origin: 'https://other.example.com' }],
    ['with a method alone', { 'Access-Control-Request-Method': 'GET' }],
    ['of an old browser', { Accept: 'text/html', 'Sec-Fetch-Mode': undefined }],
  ])('is protected where no rule says otherwise: %s', async ([, headers]) => {
    for (const uri of ['/', '/admin', '/api/admin/users', '/apis', '/api-v2/a', '/write/a']) {
      const visit = await vestibule().check({ method: 'OPTIONS', uri }, headers)
      expectRefusal(visit, 401, ['evil.example'])
      expect(visit.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('a preflight passes where a rule says so, and as nobody', async () => {
    for (const headers of [preflight, { ...preflight, Cookie: cookie() }]) {
      const visit = await vestibule().check({ method: 'OPTIONS', uri: '/api/a' }, headers)
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
    [
      'headers instead of a method',
      {
        Origin: 'https://other.example.com',
        'Access-Control-Request-Headers': 'x-a',
      },
    ],
    ['another spelling', { Origin: 'https://a.example', Access_Control_Request_Method: 'GET' }],
  ])('an OPTIONS that is no preflight does not pass there: %s', async ([, headers]) => {
    const visit = await vestibule().check({ method: 'OPTIONS', uri: '/api/a' }, headers)
    expectRefusal(visit, 401)
  })

  test.for(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'QUERY'])(
    'no other method becomes a preflight by its headers: %s',
    async (method) => {
      const visit = await vestibule().check({ method, uri: '/api/a' }, preflight)
      expectRefusal(visit, 401)
    },
  )

  test.for(words`
    /api/%61dmin/users /api/ADMIN/users /api//admin/users /api;x/admin/users /api/admin%2fusers
  `)('an ambiguous path does not pass as a preflight: %s', async (uri) => {
    expectRefusal(await vestibule().check({ method: 'OPTIONS', uri }, preflight), 401)
  })

  test.for(['/api/../admin', '/api/%2e%2e/admin', '/api/..%2fadmin', '/api/..;/admin'])(
    'one with a hidden dot segment is refused: %s',
    async (uri) => {
      expectRefusal(await vestibule().check({ method: 'OPTIONS', uri }, preflight), 400)
    },
  )

  test('a method that is overridden is refused, not passed', async () => {
    const headers = { ...preflight, 'X-HTTP-Method-Override': 'GET' }
    const visit = await vestibule().check({ method: 'OPTIONS', uri: '/api/a' }, headers)
    expectRefusal(visit, 400)
  })

  test('a body is not read and decides nothing', async () => {
    const url = `http://127.0.0.1:${vestibule().internalPort}/auth`
    const forwarded = {
      'X-Forwarded-Method': 'OPTIONS',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'app.example.com',
    }
    const ask = (uri: string, body: string) =>
      createVisitor().request('OPTIONS', url, {
        body,
        headers: { ...forwarded, ...preflight, 'X-Forwarded-Uri': uri },
      })
    expectRefusal(await ask('/admin', '{"method":"GET"}'), 401)
    expect((await ask('/api/a', 'a'.repeat(100_000))).status).toBe(200)
  })
})

describeGateways('A21 OPTIONS', app, (send) => {
  const forged = ['X-Auth-Request-User', 'admin', 'x-auth-request-groups', 'admins']

  test('a preflight that passes brings the app no identity, forged or real', async () => {
    const headers = [...Object.entries(preflight).flat(), ...forged, 'Cookie', `${cookie()}; a=1`]
    const request = { method: 'OPTIONS', target: '/api/a', headers }
    const passage = await send(request)
    expect(passage).toMatchObject({ status: 200, app: { method: 'OPTIONS', url: '/api/a' } })
    for (const name of NAMES) expect(givenTo(passage.app, `X-Auth-Request-${name}`)).toEqual([''])
    expect(givenTo(passage.app, 'Cookie')).toEqual(['a=1'])
  })

  test('every other OPTIONS ends before the app', async () => {
    for (const [target, headers] of [
      ['/admin', Object.entries(preflight).flat()],
      ['/api/a', []],
      ['/api/../admin', Object.entries(preflight).flat()],
      ['/api/admin/users', Object.entries(preflight).flat()],
    ] as const) {
      const passage = await send({ method: 'OPTIONS', target, headers })
      expect(passage).toMatchObject({ status: 401, app: undefined, location: undefined })
    }
  })
})
