import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import { writeRules } from '../support/rules-file.ts'
import { words } from '../support/words.ts'

const rules = prepared(() =>
  writeRules([
    { paths: ['/read/**'], methods: ['GET'], access: 'public' },
    { paths: ['/send/**'], methods: ['POST'], access: 'public' },
    { paths: ['/public/**'], access: 'public' },
    { access: 'signed-in' },
  ]),
)
const app = prepared(() =>
  startProtectedApp({ VESTIBULE_CONFIG: rules().path, ALLOW_ANY_USER: 'false' }),
)
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

const overrides = words`
  X-HTTP-Method-Override X-HTTP-Method X-Method-Override x-http-method-override X-METHOD-OVERRIDE
`

describe('A22 method override', () => {
  test('without an override the method-scoped public rules match', async () => {
    expect((await vestibule().check({ uri: '/read/a' })).status).toBe(200)
    expect((await vestibule().check({ uri: '/send/a', method: 'POST' })).status).toBe(200)
    expect((await vestibule().check({ uri: '/send/a', method: 'DELETE' })).status).toBe(401)
    expect((await vestibule().check({ uri: '/read/a', method: 'POST' })).status).toBe(303)
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
        expectRefusal(await vestibule().check(forwarded, headers), 400, ['<script>'])
        const signedIn = { ...headers, Cookie: cookie() }
        expectRefusal(await vestibule().check(forwarded, signedIn), 400, ['alice'])
      }
    }
    const twice = { [name]: ['GET', 'DELETE'] }
    expectRefusal(await vestibule().check({ uri: '/read/a' }, twice), 400)
  })

  // PHP, WSGI and CGI read these as the header itself.
  test.for(words`
    X_HTTP_Method_Override X-HTTP_Method-Override X.HTTP.Method.Override X_Method_Override
    X_HTTP_Method
  `)('%s is an override by another spelling, and opens no public rule', async (name) => {
    const visit = await vestibule().check({ uri: '/send/a', method: 'POST' }, { [name]: 'DELETE' })
    expect(visit.status).toBe(400)
  })

  test('_method in a query or a header makes no protected request public', async () => {
    for (const method of ['DELETE', 'PUT', 'PATCH']) {
      const uri = '/read/a?_method=GET'
      expectRefusal(await vestibule().check({ uri, method }), 401)
      expectRefusal(await vestibule().check({ uri: '/read/a', method }, { _method: 'GET' }), 401)
    }
  })
})

describeGateways('A22 method override', app, (send) => {
  test.for(overrides)('%s does not reach the app', async (name) => {
    for (const headers of [[], ['Cookie', cookie()]]) {
      const passage = await send({
        method: 'POST',
        target: '/send/a',
        headers: [name, 'DELETE', ...headers],
      })
      expect(passage).toMatchObject({ status: 400, app: undefined })
    }
    const twin = await send({ method: 'POST', target: '/send/a' })
    expect(twin).toMatchObject({ status: 200, app: { method: 'POST' } })
  })
})
