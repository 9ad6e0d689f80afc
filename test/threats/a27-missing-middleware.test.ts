import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp } from '../../stand-ins/app.ts'
import { startStandIn } from '../../stand-ins/proxy/proxy.ts'
import { gatewayKinds, type ProtectedApp, startProtectedApp } from '../support/protected-app.ts'
import { createVisitor, type VisitHeaders } from '../support/visitor.ts'

let app: ProtectedApp
let closed: ProtectedApp

beforeAll(async () => {
  app = await startProtectedApp({ PUBLIC_PATHS: '/public/**' })
  closed = await startProtectedApp()
  await closed.party.vestibule.stop()
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await closed[Symbol.asyncDispose]()
})

const HOSTS = ['app.example.com', 'other.example.com']
const script = ['Sec-Fetch-Mode', 'cors', 'Sec-Fetch-Dest', 'empty', 'Accept', '*/*']

// The manifests come later; what holds already is what their smoke test will ask of every host.
describe.for(gatewayKinds)('A27 a canary at each protected host, through %s', (kind) => {
  test.for(HOSTS)('nobody reaches the app without a session: %s', async (host, { skip }) => {
    for (const target of ['/', `/canary-${randomUUID()}`, '/api/canary', '/echo', '/headers']) {
      const page = await app.send(kind, skip, { host, target })
      expect(page).toMatchObject({ status: 302, app: undefined })
      expect(page.location).toMatch(`https://${host}/oauth2/login?rd=`)
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const passage = await app.send(kind, skip, { host, target, method, headers: script })
        expect(passage).toMatchObject({ status: 401, app: undefined, location: undefined })
        expect(JSON.parse(passage.body)).toMatchObject({ error: 'login_required' })
      }
    }
  })

  test('a host without a route is no way round', async ({ skip }) => {
    for (const host of ['evil.example', 'sub.app.example.com', '127.0.0.1', 'localhost']) {
      const passage = await app.send(kind, skip, { host })
      expect(passage).toMatchObject({ status: 404, app: undefined })
    }
  })

  test('with a session the same requests arrive, so the canary is not refused for its form', async ({
    skip,
  }) => {
    const cookie = await app.party.vestibule.signIn('alice')
    const request = { target: '/api/canary', headers: [...script, 'Cookie', cookie] }
    const passage = await app.send(kind, skip, request)
    expect(passage).toMatchObject({ status: 200, app: { url: '/api/canary' } })
    expect(app.party.vestibule.isAlive()).toBe(true)
  })

  test('without Vestibule nobody reaches the app at all', async ({ skip }) => {
    for (const target of ['/', '/public/a', '/api/canary']) {
      const passage = await closed.send(kind, skip, { target })
      expect(passage).toMatchObject({ status: 500, app: undefined })
    }
  })
})

describe('A27 a route without the middleware', () => {
  test('is found by the canary: it answers neither 302 nor 401', async () => {
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
