import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { describeGateways, useProtectedApp } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import {
  givenTo,
  type ProtectedApp,
  startProtectedApp,
  trustedHeaders,
} from '../support/protected-app.ts'
import { words } from '../support/words.ts'

const { app, signedIn, vestibule } = useProtectedApp({ PUBLIC_PATHS: '/healthz,/public/**' })
const cookie = signedIn('alice')

const spoofs = words`
  X-Forwarded-Uri:/healthz x-forwarded-uri:/public/a X-FORWARDED-URI:/healthz
  X-Forwarded-Uri:/healthz&X-Forwarded-Uri:/public/a
  X-Forwarded-Method:OPTIONS&X-Forwarded-Uri:/healthz
  X-Forwarded-Host:other.example.com&X-Forwarded-Uri:/healthz X-Forwarded-Host:evil.example
  X-Forwarded-Proto:http X-Forwarded-Port:80 X-Forwarded-Prefix:/public
  X-Forwarded-For:127.0.0.1&X-Real-Ip:127.0.0.1 X-Forwarded-Server:evil.example
  Connection:close,\x20X-Forwarded-Uri&X-Forwarded-Uri:/healthz
  Connection:X-Forwarded-Uri,\x20X-Forwarded-Host,\x20X-Forwarded-Proto,\x20X-Forwarded-Method
`
/** These reach us and the app, for nobody but us may decide by them; none of them is an alias. */
const untouched = words`
  X-Original-Url:/healthz X-Rewrite-Url:/healthz X-Original-Uri:/healthz X-Original-Method:OPTIONS
  Forwarded:for=127.0.0.1;host=evil.example;proto=http
`

const cases = [...spoofs, ...untouched].map((each) => [each.split(/[:&]/)] as const)

describeGateways('A04 X-Forwarded-Uri spoofing', app, (send) => {
  test('a public path passes without a session, and the app hears of nobody', async () => {
    for (const target of ['/healthz', '/public/a']) {
      const passage = await send({ target })
      expect(passage).toMatchObject({ status: 200, app: { url: target } })
      expect(givenTo(passage.app, 'X-Auth-Request-User')).toEqual([''])
    }
  })

  test.for(cases)('without a session nothing opens: %j', async ([headers]) => {
    const passage = await send({ target: '/admin?a=1', headers })
    expect(passage).toMatchObject({ status: 302, app: undefined })
    expect(passage.location).toBe(
      'https://app.example.com/oauth2/login?rd=https%3A%2F%2Fapp.example.com%2Fadmin%3Fa%3D1',
    )
  })

  test.for(cases)('with a session the app hears nothing else: %j', async ([headers]) => {
    const target = '/admin?a=1'
    const clean = await send({ target, headers: ['Cookie', cookie()] })
    const spoofed = await send({ target, headers: ['Cookie', cookie(), ...headers] })
    expect(clean).toMatchObject({ status: 200, app: { method: 'GET', url: target } })
    expect(spoofed).toMatchObject({ status: 200, app: { method: 'GET', url: target } })
    expect(trustedHeaders(spoofed.app)).toEqual(trustedHeaders(clean.app))
    expect(givenTo(clean.app, 'X-Auth-Request-User')).toEqual(['alice'])
  })

  test('a spoofed path does not close a public one either', async () => {
    const headers = ['X-Forwarded-Uri', '/admin', 'X-Forwarded-Method', 'DELETE']
    expect(await send({ target: '/public/a', headers })).toMatchObject({
      status: 200,
      app: { url: '/public/a' },
    })
  })

  test.for(words`
    X_Forwarded_Uri X.Forwarded.Uri X_Forwarded-Host
  `)('A04: another spelling opens nothing and does not reach the app: %s', async (name) => {
    const headers = [name, '/healthz']
    const passage = await send({ target: '/admin', headers })
    expect([302, 400]).toContain(passage.status)
    expect(passage.app).toBeUndefined()
    const signedIn = await send({ target: '/admin', headers: ['Cookie', cookie(), ...headers] })
    expect([200, 400]).toContain(signedIn.status)
    expect(trustedHeaders(signedIn.app).filter((line) => line.includes('/healthz'))).toEqual([])
  })
})

const HOSTS = ['app.example.com', 'other.example.com']
const script = ['Sec-Fetch-Mode', 'cors', 'Sec-Fetch-Dest', 'empty', 'Accept', '*/*']

describeGateways('A27 a canary at each protected host', app, (send) => {
  test.for(HOSTS)('nobody reaches the app without a session: %s', async (host) => {
    for (const target of ['/', `/canary-${randomUUID()}`, '/api/canary', '/echo', '/headers']) {
      const page = await send({ host, target })
      expect(page).toMatchObject({ status: 302, app: undefined })
      expect(page.location).toMatch(`https://${host}/oauth2/login?rd=`)
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const passage = await send({ host, target, method, headers: script })
        expect(passage).toMatchObject({ status: 401, app: undefined, location: undefined })
        expect(JSON.parse(passage.body)).toMatchObject({ error: 'login_required' })
      }
    }
  })

  test('with a session the same requests arrive, so the canary is not refused for its form', async () => {
    const cookie = await vestibule().signIn('alice')
    const request = { target: '/api/canary', headers: [...script, 'Cookie', cookie] }
    expect(await send(request)).toMatchObject({ status: 200, app: { url: '/api/canary' } })
  })
})

describeGateways('A27 a host whose Vestibule has stopped', prepared(startStopped), (send) => {
  test.for(['/', '/public/a', '/api/canary'])('%s does not reach the app', async (target) =>
    expect(await send({ target })).toMatchObject({ status: 500, app: undefined }),
  )
})

/** The app behind a Vestibule that has stopped; only the app and the proxies are left to be disposed of. */
async function startStopped(): Promise<Pick<ProtectedApp, 'send'> & AsyncDisposable> {
  const { party, send, [Symbol.asyncDispose]: dispose } = await startProtectedApp()
  await party.vestibule.stop()
  return { send, [Symbol.asyncDispose]: dispose }
}
