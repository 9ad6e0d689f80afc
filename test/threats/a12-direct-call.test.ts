import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { createVisitor } from '../support/visitor.ts'
import { FORWARDED, requestCheck } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const app = prepared(() => startProtectedApp({ PUBLIC_PATHS: '/public/**' }))
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))
const elsewhere = prepared(() =>
  startVestibule({ TRUSTED_PROXIES: '10.9.0.0/16,fd00:9::/32', PUBLIC_PATHS: '/public/**' }),
)

const forwarded = { ...FORWARDED, 'X-Forwarded-Uri': '/public/a' }

describe('A12 the check called from outside', () => {
  test('on the internal listener it answers', async () => {
    const visit = await vestibule().check({ uri: '/admin' }, { Cookie: cookie() })
    expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
  })

  test.for(words`
    /auth /auth/ /auth? /AUTH //auth /./auth /x/../auth /%61uth /oauth2/auth /oauth2/../auth
    /oauth2/%2e%2e/auth /oauth2//auth /check /metrics /livez /readyz /startupz /health /admin
    /admin/sessions
  `)('on the public listener there is nothing at %s', async (target) => {
    const browser = vestibule().visitor()
    for (const headers of [forwarded, { ...forwarded, Cookie: cookie() }]) {
      const visit = await browser.get('https://app.example.com/', { target, headers })
      expect(visit).toMatchObject({ status: 404, location: undefined, setCookies: [] })
      expect(visit.headers['cache-control']).toBe('no-store')
      expect(visit.rawHeaders.join('\n')).not.toMatch(/x-auth-request/i)
      expect(visit.body).toBe('not found\n')
    }
  })

  test.for(words`
    /oauth2 /oauth2/login /oauth2/callback /oauth2/logout /oauth2/me /healthz
  `)('on the internal listener there is nothing at %s', async (path) => {
    const { internalPort } = vestibule()
    const visit = await createVisitor().get(`http://127.0.0.1:${internalPort}${path}`, {
      headers: { Host: 'app.example.com', Cookie: cookie() },
    })
    expect(visit).toMatchObject({ status: 404, location: undefined, setCookies: [] })
  })

  test.for(words`
    GET HEAD POST OPTIONS DELETE PATCH
  `)('a caller outside TRUSTED_PROXIES gets no decision by %s', async (method) => {
    for (const headers of [
      forwarded,
      { ...forwarded, 'X-Forwarded-For': '10.9.0.1', 'X-Real-Ip': '10.9.0.1' },
      { ...forwarded, 'X-Forwarded-Uri': '/oauth2/login' },
      { ...forwarded, 'X-Forwarded-Host': 'evil.example' },
      { 'X-Forwarded-Host': 'evil.example' },
    ]) {
      const visit = await requestCheck(elsewhere(), method, { headers })
      expectRefusal(visit, 403, ['evil.example', '10.9.0'])
    }
  })

  test('a caller outside TRUSTED_PROXIES still finds the health endpoints', async () =>
    expect((await elsewhere().internal('/livez')).status).toBe(200))
})

describeGateways('A12 the check called from outside', app, (send) => {
  test.for(words`/auth /oauth2/auth /oauth2/../auth`)('no way to the check: %s', async (target) => {
    const passage = await send({ target, headers: Object.entries(forwarded).flat() })
    expect([302, 400, 404]).toContain(passage.status)
    expect(passage.app).toBeUndefined()
    // `/auth` at the protected host is a path of the app's own, and somebody signed in reaches the app.
    const own = await send({ target: '/auth', headers: ['Cookie', cookie()] })
    expect(own).toMatchObject({ status: 200, app: { url: '/auth' } })
  })
})
