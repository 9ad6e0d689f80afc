import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import type { VisitHeaders } from '../support/visitor.ts'
import { checkRaw, FORWARDED, requestCheck } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const app = prepared(() => startProtectedApp({ PUBLIC_PATHS: '/public/**' }))
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

const Uri = '/admin'

describe('A24 CONNECT, TRACE and unknown methods', () => {
  test.for(['CONNECT', 'TRACE'])('X-Forwarded-Method: %s never passes', async (method) => {
    for (const uri of ['/admin', '/public/a']) {
      expectRefusal(await vestibule().check({ method, uri }), 405)
      expectRefusal(await vestibule().check({ method, uri }, { Cookie: cookie() }), 405)
    }
    const { allow = '' } = (await vestibule().check({ method })).headers
    expect(allow.split(', ')).toEqual(expect.arrayContaining(['GET', 'HEAD', 'POST', 'QUERY']))
    expect(allow).not.toMatch(/CONNECT|TRACE/)
    expect((await vestibule().check({ uri: '/admin' }, { Cookie: cookie() })).status).toBe(200)
  })

  test.for(words`
    FOO TRACK DEBUG PRI BREW connect trace GET,TRACE INVOKE
  `)('X-Forwarded-Method: %s is malformed', async (method) => {
    for (const uri of ['/admin', '/public/a']) {
      expectRefusal(await vestibule().check({ method, uri }, { Cookie: cookie() }), 400)
    }
  })

  // The threat list asks for GET alone here; the design is `ANY /auth`, since Traefik may preserve the method.
  test.for(words`
    GET POST PUT PATCH DELETE OPTIONS QUERY PROPFIND SEARCH
  `)('the method of the check itself decides nothing: %s', async (method) => {
    const ask = (extra: VisitHeaders) =>
      requestCheck(vestibule(), method, {
        headers: { ...FORWARDED, 'X-Forwarded-Uri': Uri, ...extra },
      })
    expect((await ask({})).status).toBe(302)
    const signedIn = await ask({ Cookie: cookie() })
    expect(signedIn).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
    expectRefusal(await ask({ 'X-Forwarded-Method': 'TRACE', Cookie: cookie() }), 405)
  })

  test.for(words`
    CONNECT\x20/auth\x20HTTP/1.1 CONNECT\x20app.example.com:443\x20HTTP/1.1
    TRACE\x20/auth\x20HTTP/1.1 FOO\x20/auth\x20HTTP/1.1 get\x20/auth\x20HTTP/1.1
    PRI\x20*\x20HTTP/2.0 GET\x20/auth\x20HTTP/9.9 GET\x20/auth \x20/auth\x20HTTP/1.1
  `)('no request line makes the check pass or end the process: %s', async (line) => {
    const { status, text } = await checkRaw(vestibule(), { line, forwarded: { Uri } })
    expect(String(status)).not.toMatch(/^2/)
    expect(text.toLowerCase()).not.toContain('x-auth-request')
    expect((await vestibule().check({ uri: '/admin' }, { Cookie: cookie() })).status).toBe(200)
  })

  test.for(['TRACE', 'CONNECT', 'FOO'])('nor does a line with a session: %s', async (method) => {
    const target = method === 'CONNECT' ? 'app.example.com:443' : '/auth'
    const line = `${method} ${target} HTTP/1.1`
    const headers = [`Cookie: ${cookie()}`]
    const { status, text } = await checkRaw(vestibule(), { line, forwarded: { Uri }, headers })
    const secret = cookie().split('=')[1] ?? cookie()
    // TRACE by its nature sends back what it was sent, cookies included.
    expect(text).not.toContain(secret)
    if (method !== 'TRACE') expect(String(status)).not.toMatch(/^2/)
  })
})

describeGateways('A24 CONNECT, TRACE and unknown methods', app, (send) => {
  test.for(words`TRACE PROPFIND SEARCH`)('anonymous %s does not reach the app', async (method) => {
    expect(await send({ method, target: '/admin' })).toMatchObject({
      status: method === 'TRACE' ? 405 : 401,
      app: undefined,
    })
  })

  test('TRACE does not reach the app with a session either', async () => {
    const headers = ['Cookie', cookie()]
    const trace = await send({ method: 'TRACE', target: '/public/a', headers })
    expect(trace).toMatchObject({ status: 405, app: undefined })
    const search = await send({ method: 'SEARCH', target: '/admin', headers })
    expect(search).toMatchObject({ status: 200, app: { method: 'SEARCH' } })
  })
})
