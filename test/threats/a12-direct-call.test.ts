import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gatewayKinds, type ProtectedApp, startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'
import { createVisitor } from '../support/visitor.ts'

let app: ProtectedApp
let elsewhere: RunningVestibule
let cookie: string

beforeAll(async () => {
  app = await startProtectedApp({ PUBLIC_PATHS: '/public/**' })
  cookie = await app.party.vestibule.signIn('alice')
  elsewhere = await startVestibule({
    TRUSTED_PROXIES: '10.9.0.0/16,fd00:9::/32',
    PUBLIC_PATHS: '/public/**',
  })
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await elsewhere[Symbol.asyncDispose]()
})

const forwarded = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/public/a',
  'X-Forwarded-For': '203.0.113.7',
}

describe('A12 the check called from outside', () => {
  test('on the internal listener it answers', async () => {
    const visit = await app.party.vestibule.check({ uri: '/admin' }, { Cookie: cookie })
    expect(visit.status).toBe(200)
    expect(visit.headers['x-auth-request-user']).toBe('alice')
  })

  test.for([
    '/auth',
    '/auth/',
    '/auth?',
    '/AUTH',
    '//auth',
    '/./auth',
    '/x/../auth',
    '/%61uth',
    '/oauth2/auth',
    '/oauth2/../auth',
    '/oauth2/%2e%2e/auth',
    '/oauth2//auth',
    '/check',
    '/metrics',
    '/livez',
    '/readyz',
    '/startupz',
    '/health',
    '/admin',
    '/admin/sessions',
  ])('on the public listener there is nothing at %s', async (target) => {
    const { vestibule } = app.party
    const browser = vestibule.visitor()
    for (const headers of [forwarded, { ...forwarded, Cookie: cookie }]) {
      const visit = await browser.get('https://app.example.com/', { target, headers })
      expect(visit.status).toBe(404)
      expect(visit.location).toBeUndefined()
      expect(visit.setCookies).toEqual([])
      expect(visit.headers['cache-control']).toBe('no-store')
      expect(visit.rawHeaders.join('\n')).not.toMatch(/x-auth-request/i)
      expect(visit.body).toBe('not found\n')
    }
  })

  test.for([
    '/oauth2',
    '/oauth2/login',
    '/oauth2/callback',
    '/oauth2/logout',
    '/oauth2/me',
    '/healthz',
  ])('on the internal listener there is nothing at %s', async (path) => {
    const { internalPort } = app.party.vestibule
    const visit = await createVisitor().get(`http://127.0.0.1:${internalPort}${path}`, {
      headers: { Host: 'app.example.com', Cookie: cookie },
    })
    expect(visit.status).toBe(404)
    expect(visit.location).toBeUndefined()
    expect(visit.setCookies).toEqual([])
  })

  test.for(['GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE', 'PATCH'])(
    'a caller outside TRUSTED_PROXIES gets no decision by %s',
    async (method) => {
      const { internalPort } = elsewhere
      for (const headers of [
        forwarded,
        { ...forwarded, 'X-Forwarded-For': '10.9.0.1', 'X-Real-Ip': '10.9.0.1' },
        { ...forwarded, 'X-Forwarded-Uri': '/oauth2/login' },
        { ...forwarded, 'X-Forwarded-Host': 'evil.example' },
        { 'X-Forwarded-Host': 'evil.example' },
      ]) {
        const visit = await createVisitor().request(
          method,
          `http://127.0.0.1:${internalPort}/auth`,
          { headers },
        )
        expectRefusal(visit, 403, ['evil.example', '10.9.0'])
      }
      expect(elsewhere.isAlive()).toBe(true)
    },
  )

  test('a caller outside TRUSTED_PROXIES still finds the health endpoints', async () => {
    expect((await elsewhere.internal('/livez')).status).toBe(200)
  })
})

describe.for(gatewayKinds)('A12 the check called from outside, through %s', (kind) => {
  test.for(['/auth', '/oauth2/auth', '/oauth2/../auth'])(
    'no route leads to it: %s',
    async (target, { skip }) => {
      const headers = Object.entries(forwarded).flat()
      const passage = await app.send(kind, skip, { target, headers })
      expect([302, 400, 404]).toContain(passage.status)
      expect(passage.app).toBeUndefined()
      // `/auth` at the protected host is a path of the app's own, and somebody signed in reaches the app.
      const own = await app.send(kind, skip, { target: '/auth', headers: ['Cookie', cookie] })
      expect(own).toMatchObject({ status: 200, app: { url: '/auth' } })
    },
  )
})
