import { afterAll, describe, expect, test } from 'vitest'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { describeBrowsers } from '../support/gateways.ts'
import { takeTime } from '../support/passing-time.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import type { Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const TOKEN_HEADER = 'X-Auth-Request-Access-Token'
const PASSING = { PASS_AUTHORIZATION: 'true', PASS_ACCESS_TOKEN: 'true' }
const SCRIPT = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
const PUBLIC = { PUBLIC_PATHS: '/public/**' }

const time = takeTime()
const withAuthorization = { authResponseHeaders: [...authResponseHeaders, 'Authorization'] }
const plain = prepared(() => startProxiedHosts({ settings: PUBLIC }))
const blanking = prepared(() => startProxiedHosts({ settings: PUBLIC, gateway: withAuthorization }))
const passing = prepared(() =>
  startProxiedHosts({ settings: { ...PUBLIC, ...PASSING }, gateway: withAuthorization }),
)
afterAll(() => time[Symbol.dispose]())

const credentials = words`
  Basic\x20YWxpY2U6c2VjcmV0 Bearer\x20eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9. bearer\x20x
  Digest\x20username="alice",\x20realm="x" Negotiate\x20YII= DPoP\x20x alice
`

async function given(browser: Visitor, name: string, headers = {}, path = '/headers') {
  return givenTo(givenToApp(await browser.fetch(APP + path, { headers })), name)
}

async function signedIn(browser: Visitor): Promise<Visitor> {
  await browser.signIn(`${APP}/headers`, 'alice')
  return browser
}

describe('A39 Authorization and the app', () => {
  test.for(credentials)('a value from the client opens nothing: %s', async (Authorization) => {
    const { vestibule } = plain().party
    const page = await vestibule.check({}, { Authorization })
    expect(page.status).toBe(302)
    const script = await vestibule.check({}, { Authorization, ...SCRIPT })
    expect(script.status).toBe(401)
    for (const visit of [page, script]) {
      expect(`${visit.rawHeaders.join()}${visit.body}`).not.toContain(Authorization)
      expect(visit.setCookies).toEqual([])
    }
    expect(vestibule.output()).not.toContain(Authorization)
  })

  test('a denied user gets the page whatever Authorization says', async () => {
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
    const fetched = await party.vestibule.check({}, { Cookie, ...SCRIPT })
    expect([fetched.status, JSON.parse(fetched.body)]).toEqual([403, { error: 'forbidden' }])
  })

  test('the check answers Authorization with a token or not at all', async () => {
    const { vestibule } = passing().party
    const known = await vestibule.check({}, { Cookie: await vestibule.signIn('alice') })
    expect(known.headers.authorization).toMatch(/^Bearer [\w.-]{20,}$/)
    const nobody = await vestibule.check({ uri: '/public/x' }, { Authorization: 'Bearer x' })
    expect([nobody.status, nobody.headers.authorization]).toEqual([200, undefined])
    const refused = await vestibule.check({}, { Authorization: 'Bearer x' })
    expect([refused.status, refused.headers.authorization]).toEqual([302, undefined])
  })

  test('a token that has ended is not given any more: the next one is, or none', async () => {
    await using ending = await startProxiedHosts({ settings: PASSING })
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

describeBrowsers('A39 Authorization without settings for it', plain, (open) => {
  // Unless a rule asks for bearers, Authorization is the app's: neither read nor listed.
  test('the app gets what the client sent, byte for byte', async () => {
    const browser = await signedIn(open())
    for (const Authorization of credentials) {
      expect(await given(browser, 'Authorization', { Authorization })).toEqual([Authorization])
      expect(await given(browser, 'X-Auth-Request-User', { Authorization })).toEqual(['alice'])
    }
    expect(await given(browser, 'Authorization')).toEqual([])
  })

  test('the app gets no token of the provider', async () => {
    const browser = await signedIn(open())
    const app = givenToApp(await browser.fetch(`${APP}/headers`))
    expect(JSON.stringify(app)).not.toMatch(/eyJ[\w-]+\.|Bearer/)
    expect(givenTo(app, TOKEN_HEADER)).toEqual([])
    expect(await given(browser, TOKEN_HEADER, { [TOKEN_HEADER]: 'forged' })).toEqual([])
    expect(await given(browser, TOKEN_HEADER, { [TOKEN_HEADER]: 'forged' }, '/public/x')).toEqual(
      [],
    )
  })
})

describeBrowsers('A39 Authorization that the proxy takes from the answer', blanking, (open) => {
  test('the app never gets what the client sent', async () => {
    const browser = await signedIn(open())
    for (const Authorization of credentials) {
      expect(await given(browser, 'Authorization', { Authorization })).toEqual([])
      expect(await given(browser, 'Authorization', { Authorization }, '/public/x')).toEqual([])
    }
  })
})

describeBrowsers('A39 Authorization with PASS_AUTHORIZATION', passing, (open) => {
  test('the app gets the access token in place of what was sent', async () => {
    const browser = await signedIn(open())
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
  })

  test('a public page gets no token of somebody who is signed in', async () => {
    const browser = await signedIn(open())
    const sent = { Authorization: 'Bearer forged', [TOKEN_HEADER]: 'forged' }
    expect(await given(browser, 'Authorization', sent, '/public/x')).toEqual([])
    expect((await given(browser, TOKEN_HEADER, sent, '/public/x')).filter(Boolean)).toEqual([])
  })
})
