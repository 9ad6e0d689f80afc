import { describe, expect, test } from 'vitest'
import { describeGateways, useProtectedApp } from '../support/gateways.ts'
import { givenTo } from '../support/protected-app.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'
import { checkRaw, FORWARDED, requestCheck } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const { app, check, signedIn, vestibule } = useProtectedApp([
  { paths: ['/api/admin/**'], access: 'signed-in', groups: ['admins'] },
  { paths: ['/api/**'], access: 'signed-in', preflight: 'pass' },
  { paths: ['/write/**'], methods: ['POST'], access: 'signed-in', preflight: 'pass' },
  { paths: ['/read/**'], methods: ['GET'], access: 'public' },
  { paths: ['/send/**'], methods: ['POST'], access: 'public' },
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/admin/**'], methods: ['GET'], access: 'signed-in', groups: ['admins'] },
  { paths: ['/closed/**'], methods: ['GET'], access: 'deny' },
  { paths: ['/heads/**'], methods: ['HEAD'], access: 'deny' },
  { access: 'signed-in' },
])
const cookie = signedIn('alice')

const ORIGIN = 'https://other.example.com'
const preflight = {
  Origin: ORIGIN,
  'Access-Control-Request-Method': 'GET',
  'Sec-Fetch-Mode': 'cors',
  'Sec-Fetch-Dest': 'empty',
}
const NAMES = ['user', 'email', 'preferred-username', 'name', 'groups']

function options(uri: string, headers: VisitHeaders = preflight): Promise<Visit> {
  return check({ method: 'OPTIONS', uri }, headers)
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
  ])('A21: OPTIONS is protected where no rule says otherwise: %s', async ([, headers]) => {
    for (const uri of ['/', '/admin', '/api/admin/users', '/apis', '/api-v2/a', '/write/a']) {
      const visit = await options(uri, headers)
      expectRefusal(visit, 401, ['evil.example'])
      expect(visit.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('a preflight passes where a rule says so, and as nobody (A97)', async () => {
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
  ])('A21: an OPTIONS that is no preflight does not pass there: %s', async ([, headers]) =>
    expectRefusal(await options('/api/a', headers), 401),
  )

  test.for(words`GET HEAD POST PUT DELETE PATCH QUERY`)('%s is no preflight', async (method) =>
    expectRefusal(await check({ method, uri: '/api/a' }, preflight), 401),
  )

  test.for(words`
    /api/%61dmin/users /api/ADMIN/users /api//admin/users /api;x/admin/users /api/admin%2fusers
  `)('A21: an ambiguous path does not pass as a preflight: %s', async (uri) =>
    expectRefusal(await options(uri), 401),
  )

  test.for(['/api/../admin', '/api/%2e%2e/admin', '/api/..%2fadmin', '/api/..;/admin'])(
    'a preflight with a hidden dot segment is refused: %s',
    async (uri) => expectRefusal(await options(uri), 400),
  )

  test('a method that is overridden is refused, not passed', async () =>
    expectRefusal(await options('/api/a', { ...preflight, 'X-HTTP-Method-Override': 'GET' }), 400))

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

const overrides = words`
  X-HTTP-Method-Override X-HTTP-Method X-Method-Override x-http-method-override X-METHOD-OVERRIDE
`

describe('A22 method override', () => {
  test('without an override the method-scoped public rules match', async () => {
    expect((await check({ uri: '/read/a' })).status).toBe(200)
    expect((await check({ uri: '/send/a', method: 'POST' })).status).toBe(200)
    expect((await check({ uri: '/send/a', method: 'DELETE' })).status).toBe(401)
    expect((await check({ uri: '/read/a', method: 'POST' })).status).toBe(303)
  })

  // The design refuses every override with 400; the threat list only lets the rule not match.
  test.for(overrides)('%s is refused, whatever it says and wherever it is sent', async (name) => {
    for (const value of ['DELETE', 'GET', 'POST', 'delete', 'DELETE, GET', '', '<script>']) {
      const requests = [
        { uri: '/read/a' },
        { uri: '/send/a', method: 'POST' },
        { uri: '/public/a' },
        { uri: '/a' },
      ]
      for (const forwarded of requests) {
        const headers = { [name]: value }
        expectRefusal(await check(forwarded, headers), 400, ['<script>'])
        expectRefusal(await check(forwarded, { ...headers, Cookie: cookie() }), 400, ['alice'])
      }
    }
    expectRefusal(await check({ uri: '/read/a' }, { [name]: ['GET', 'DELETE'] }), 400)
  })

  // PHP, WSGI and CGI read these as the header itself.
  test.for(words`
    X_HTTP_Method_Override X-HTTP_Method-Override X.HTTP.Method.Override X_Method_Override
    X_HTTP_Method
  `)('A22: %s is an override by another spelling, and opens no public rule', async (name) =>
    expect((await check({ uri: '/send/a', method: 'POST' }, { [name]: 'DELETE' })).status).toBe(
      400,
    ),
  )

  test('_method in a query or a header makes no protected request public', async () => {
    for (const method of ['DELETE', 'PUT', 'PATCH']) {
      const uri = '/read/a?_method=GET'
      expectRefusal(await check({ uri, method }), 401)
      expectRefusal(await check({ uri: '/read/a', method }, { _method: 'GET' }), 401)
    }
  })
})

describeGateways('A22 method override', app, (send) => {
  test.for(overrides)('%s does not reach the app', async (name) => {
    for (const headers of [[], ['Cookie', cookie()]]) {
      const sent = { method: 'POST', target: '/send/a', headers: [name, 'DELETE', ...headers] }
      const passage = await send(sent)
      expect(passage).toMatchObject({ status: 400, app: undefined })
    }
    const twin = await send({ method: 'POST', target: '/send/a' })
    expect(twin).toMatchObject({ status: 200, app: { method: 'POST' } })
  })
})

const bob = signedIn('bob')

describe('A23 HEAD', () => {
  test.for(['GET', 'HEAD'])('%s meets the rules for GET', async (method) => {
    const ask = (uri: string, Cookie?: string) => check({ method, uri }, { Cookie })
    expect((await ask('/read/a')).status).toBe(200)
    expect((await ask('/admin/a', cookie())).status).toBe(200)
    expectRefusal(await ask('/admin/a', bob()), 403)
    expectRefusal(await ask('/closed/a', cookie()), 403)
    expectRefusal(await ask('/heads/a', cookie()), 403)
    expectLogin(await ask('/admin/a'), 'https://app.example.com/admin/a')
  })

  test('a rule for GET says nothing of POST', async () =>
    expect((await check({ method: 'POST', uri: '/closed/a' }, { Cookie: bob() })).status).toBe(200))

  test.for([
    ['a sign-in', '/a', '302'],
    ['a denial', '/closed/a', '403'],
    ['a refused path', '//', '400'],
    ['a public path', '/read/a', '200'],
  ] as const)(
    'A23: a HEAD of the check is answered without a body: %s',
    async ([, uri, status]) => {
      const answer = await checkRaw(vestibule(), {
        line: 'HEAD /auth HTTP/1.1',
        forwarded: { Method: 'HEAD', Uri: uri },
        headers: ['Accept: text/html'],
      })
      expect(answer).toMatchObject({ status: Number(status), text: `${answer.head}\r\n\r\n` })
    },
  )
})

describeGateways('A23 HEAD', app, (send) => {
  test('reaches nothing that GET does not, and no answer has a body', async () => {
    for (const [target, session, status] of [
      ['/closed/a', cookie(), 403],
      ['/admin/a', bob(), 403],
      ['/admin/a', undefined, 302],
      ['/admin/a', cookie(), 200],
      ['/read/a', undefined, 200],
    ] as const) {
      const headers = session ? ['Cookie', session] : []
      const head = await send({ method: 'HEAD', target, headers })
      const get = await send({ method: 'GET', target, headers })
      expect([head.status, get.status]).toEqual([status, status])
      expect(head.location).toBe(get.location)
      expect(head.body).toBe('')
    }
  })
})
