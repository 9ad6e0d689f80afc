import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { startApp } from '../../stand-ins/app.ts'
import { startStandIn } from '../../stand-ins/proxy/proxy.ts'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { type ProtectedApp, startProtectedApp } from '../support/protected-app.ts'
import { createVisitor, type VisitHeaders } from '../support/visitor.ts'

const app = prepared(() => startProtectedApp({ PUBLIC_PATHS: '/public/**' }))

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

  test('a host without a route does not reach the app', async () => {
    for (const host of ['evil.example', 'sub.app.example.com', '127.0.0.1', 'localhost']) {
      expect(await send({ host })).toMatchObject({ status: 404, app: undefined })
    }
  })

  test('with a session the same requests arrive, so the canary is not refused for its form', async () => {
    const cookie = await app().party.vestibule.signIn('alice')
    const request = { target: '/api/canary', headers: [...script, 'Cookie', cookie] }
    expect(await send(request)).toMatchObject({ status: 200, app: { url: '/api/canary' } })
  })
})

describeGateways('A27 a host whose Vestibule has stopped', prepared(startStopped), (send) => {
  test.for(['/', '/public/a', '/api/canary'])('%s does not reach the app', async (target) =>
    expect(await send({ target })).toMatchObject({ status: 500, app: undefined }),
  )
})

describe('A27 a route without the middleware', () => {
  test('the canary finds it by an answer that is neither 302 nor 401', async () => {
    await using backend = await startApp()
    await using bare = await startStandIn({
      scheme: 'https',
      routes: [{ host: 'app.example.com', backend: backend.url }],
    })
    const headers: VisitHeaders = { Accept: 'application/json' }
    const browser = createVisitor({ connectTo: { 'app.example.com': bare.origin } })
    const { status, body } = await browser.get('https://app.example.com/canary', { headers })
    expect([302, 401]).not.toContain(status)
    expect(JSON.parse(body)).toMatchObject({ url: '/canary' })
  })
})

/** The app behind a Vestibule that has stopped; only the app and the proxies are left to be disposed of. */
async function startStopped(): Promise<Pick<ProtectedApp, 'send'> & AsyncDisposable> {
  const { party, send, [Symbol.asyncDispose]: dispose } = await startProtectedApp()
  await party.vestibule.stop()
  return { send, [Symbol.asyncDispose]: dispose }
}
