import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { takeTime } from '../support/passing-time.ts'
import { gatewayKinds, givenTo } from '../support/protected-app.ts'
import { givenToApp, type ProxiedHosts, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import type { Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const TOKEN_HEADER = 'X-Auth-Request-Access-Token'
const PUBLIC = { PUBLIC_PATHS: '/public/**' }

const time = takeTime()
let plain: ProxiedHosts
let blanking: ProxiedHosts
let passing: ProxiedHosts

beforeAll(async () => {
  const withAuthorization = { authResponseHeaders: [...authResponseHeaders, 'Authorization'] }
  plain = await startProxiedHosts({ settings: PUBLIC })
  blanking = await startProxiedHosts({ settings: PUBLIC, gateway: withAuthorization })
  passing = await startProxiedHosts({
    settings: { ...PUBLIC, PASS_AUTHORIZATION: 'true', PASS_ACCESS_TOKEN: 'true' },
    gateway: withAuthorization,
  })
})
afterAll(async () => {
  await plain[Symbol.asyncDispose]()
  await blanking[Symbol.asyncDispose]()
  await passing[Symbol.asyncDispose]()
  time[Symbol.dispose]()
})

const credentials = words`
  Basic\x20YWxpY2U6c2VjcmV0 Bearer\x20eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9. bearer\x20x
  Digest\x20username="alice",\x20realm="x" Negotiate\x20YII= DPoP\x20x alice
`

const given = async (browser: Visitor, name: string, headers = {}, path = '/headers') =>
  givenTo(givenToApp(await browser.fetch(APP + path, { headers })), name)

describe('A39 Authorization and the app', () => {
  test.for(credentials)(
    'what the client sends opens nothing by itself: %s',
    async (Authorization) => {
      const { vestibule } = plain.party
      const page = await vestibule.check({}, { Authorization })
      expect(page.status).toBe(302)
      const script = await vestibule.check(
        {},
        { Authorization, 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
      )
      expect(script.status).toBe(401)
      for (const visit of [page, script]) {
        expect(`${visit.rawHeaders.join()}${visit.body}`).not.toContain(Authorization)
        expect(visit.setCookies).toEqual([])
      }
      expect(vestibule.output()).not.toContain(Authorization)
    },
  )

  // Unless a rule asks for bearers, Authorization is the app's: neither read nor listed.
  test.for(gatewayKinds)('behind %s it is the app’s, byte for byte', async (kind, ctx) => {
    const browser = plain.browser(kind, ctx.skip)
    await browser.signIn(`${APP}/headers`, 'alice')
    for (const Authorization of credentials) {
      expect(await given(browser, 'Authorization', { Authorization })).toEqual([Authorization])
      expect(await given(browser, 'X-Auth-Request-User', { Authorization })).toEqual(['alice'])
    }
    expect(await given(browser, 'Authorization')).toEqual([])
  })

  test.for(gatewayKinds)('behind %s an operator can have it taken away', async (kind, ctx) => {
    const browser = blanking.browser(kind, ctx.skip)
    await browser.signIn(`${APP}/headers`, 'alice')
    for (const Authorization of credentials) {
      expect(await given(browser, 'Authorization', { Authorization })).toEqual([])
      expect(await given(browser, 'Authorization', { Authorization }, '/public/x')).toEqual([])
    }
  })

  test.for(gatewayKinds)(
    'behind %s no token of the provider is given unasked',
    async (kind, ctx) => {
      const browser = plain.browser(kind, ctx.skip)
      await browser.signIn(`${APP}/headers`, 'alice')
      const app = givenToApp(await browser.fetch(`${APP}/headers`))
      expect(JSON.stringify(app)).not.toMatch(/eyJ[\w-]+\.|Bearer/)
      expect(givenTo(app, TOKEN_HEADER)).toEqual([])
      expect(await given(browser, TOKEN_HEADER, { [TOKEN_HEADER]: 'forged' })).toEqual([])
      expect(await given(browser, TOKEN_HEADER, { [TOKEN_HEADER]: 'forged' }, '/public/x')).toEqual(
        [],
      )
    },
  )

  test.for(gatewayKinds)(
    'behind %s PASS_… gives the access token and replaces what was sent',
    async (kind, ctx) => {
      const browser = passing.browser(kind, ctx.skip)
      await browser.signIn(`${APP}/headers`, 'alice')
      const [token = ''] = await given(browser, TOKEN_HEADER)
      expect(token.length).toBeGreaterThan(20)
      for (const Authorization of credentials) {
        const sent = { Authorization, [TOKEN_HEADER]: 'forged' }
        expect(await given(browser, 'Authorization', sent)).toEqual([`Bearer ${token}`])
        expect(await given(browser, TOKEN_HEADER, sent)).toEqual([token])
      }
      const app = givenToApp(await browser.fetch(`${APP}/headers`))
      const idTokens = JSON.stringify(app).match(/eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g) ?? []
      expect(idTokens.filter((each) => each !== token)).toEqual([])
    },
  )

  test.for(gatewayKinds)(
    'behind %s a public page gets no token of somebody who is signed in',
    async (kind, ctx) => {
      const browser = passing.browser(kind, ctx.skip)
      await browser.signIn(`${APP}/headers`, 'alice')
      const sent = { Authorization: 'Bearer forged', [TOKEN_HEADER]: 'forged' }
      expect(await given(browser, 'Authorization', sent, '/public/x')).toEqual([])
      expect((await given(browser, TOKEN_HEADER, sent, '/public/x')).filter(Boolean)).toEqual([])
    },
  )

  test('it does not take the page from somebody who may not enter', async () => {
    await using party = await startRelyingParty({
      ALLOW_ANY_USER: 'false',
      ALLOWED_EMAILS: 'bob@example.com',
    })
    const Cookie = await party.vestibule.signIn('alice')
    for (const Authorization of [undefined, ...credentials]) {
      const visit = await party.vestibule.check({}, { Cookie, Authorization })
      expect([visit.status, visit.headers['content-type']]).toEqual([
        403,
        'text/html; charset=UTF-8',
      ])
      expect(visit.body).toContain('Sign in as someone else')
    }
    const script = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
    const fetched = await party.vestibule.check({}, { Cookie, ...script })
    expect([fetched.status, JSON.parse(fetched.body)]).toEqual([403, { error: 'forbidden' }])
  })

  test('the check answers Authorization with a token or not at all', async () => {
    const { vestibule } = passing.party
    const cookie = await vestibule.signIn('alice')
    const known = await vestibule.check({}, { Cookie: cookie })
    expect(known.headers.authorization).toMatch(/^Bearer [\w.-]{20,}$/)
    const nobody = await vestibule.check({ uri: '/public/x' }, { Authorization: 'Bearer x' })
    expect([nobody.status, nobody.headers.authorization]).toEqual([200, undefined])
    const refused = await vestibule.check({}, { Authorization: 'Bearer x' })
    expect([refused.status, refused.headers.authorization]).toEqual([302, undefined])
  })

  test('a token that has ended is not given any more: the next one is, or none', async () => {
    await using ending = await startProxiedHosts({
      settings: { PASS_AUTHORIZATION: 'true', PASS_ACCESS_TOKEN: 'true' },
    })
    const { provider, vestibule } = ending.party
    const issued: unknown[] = []
    const endsSoon = (body: Record<string, unknown>) => {
      issued.push(body['access_token'])
      return { ...body, expires_in: 1 }
    }
    const given = async (cookie: string) => {
      const { headers } = await vestibule.check({}, { Cookie: cookie })
      return [headers.authorization, headers['x-auth-request-access-token']]
    }
    provider.set('token', { rewrite: endsSoon })
    const refreshed = await vestibule.signIn('alice')
    provider.set('token', { rewrite: (body) => ({ ...endsSoon(body), refresh_token: undefined }) })
    const unrefreshable = await vestibule.signIn('bob')
    provider.set('token', { rewrite: (body) => ({ ...endsSoon(body), expires_in: 60 }) })
    time.pass(1001)
    const [authorization, token] = await given(refreshed)
    expect(issued).toHaveLength(3)
    expect([authorization, token]).toEqual([`Bearer ${String(issued[2])}`, issued[2]])
    expect(await given(unrefreshable)).toEqual([undefined, ''])
  })
})
