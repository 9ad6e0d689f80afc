import { describe, expect, test } from 'vitest'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { describeBrowsers } from '../support/gateways.ts'
import { takeTime } from '../support/passing-time.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import type { Visitor } from '../support/visitor.ts'
import { rows, words } from '../support/words.ts'

const OTHER = 'https://other.example.com'

const PUBLIC = { PUBLIC_PATHS: '/public/**' }
const hosts = prepared(() => startProxiedHosts({ settings: PUBLIC }))
const vestibule = () => hosts().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

function sessionOf(header: string): string {
  return header.split('; ').find((pair) => pair.startsWith('__Host-vestibule=')) ?? ''
}

/** Cookie header of the client, with `$` for its session, and the one that the app may get. */
const headers: readonly (readonly [sent: string, left: string | undefined])[] = [
  ['$', undefined],
  ['a=1; $', 'a=1'],
  ['$; a=1', 'a=1'],
  ['a=1; $; b=2', 'a=1; b=2'],
  ['a=1;$;b=2', 'a=1;b=2'],
  ['a=1;  $ ;\tb=2', 'a=1;\tb=2'],
  ...rows`
    $;\x20a=1;\x20$ $;\x20__Host-vestibule_login=v1.x.0.0;\x20a=1
    $;\x20__Host-vestibule_target=abc;\x20a=1 $;\x20__Host-vestibule_outage=abc;\x20a=1
    vestibule=x;\x20__Secure-vestibule=y;\x20$;\x20a=1
  `('a=1'),
  ['$; vestibule_login=1; __Secure-vestibule_target=2', undefined],
  ...words`
    vestibules=1;\x20vestibule2=2 my-vestibule=1 a=__Host-vestibule=x __HOST-VESTIBULE=x
    a==b=;\x20=c lonely;\x20a=1 a=%3B%20x;\x20b=%00 a=\xc3\xa9\xff
  `.map((kept): [string, string] => [`$; ${kept}`, kept]),
  ['a="1, 2"; $; b={"c":"d"}', 'a="1, 2"; b={"c":"d"}'],
]

describe('A37 the session cookie and the app', () => {
  test.for(headers)('of "%s" the app may have every byte but the session', async ([sent, left]) => {
    const own = sessionOf(cookie())
    const visit = await vestibule().check({}, { Cookie: sent.replaceAll('$', () => own) })
    expect([visit.status, visit.headers.cookie]).toEqual([200, left])
    expect(visit.rawHeaders.join('\n')).not.toContain(own.slice('__Host-vestibule='.length))
  })

  test.for(headers)('a public path keeps as much of "%s"', async ([sent, left]) => {
    const Cookie = sent.replaceAll('$', () => sessionOf(cookie()))
    const visit = await vestibule().check({ uri: '/public/a' }, { Cookie })
    expect([visit.status, visit.headers.cookie]).toEqual([200, left])
  })

  test('a request without cookies gets no Cookie header back', async () => {
    const visit = await vestibule().check({ uri: '/public/a' })
    expect([visit.status, visit.headers.cookie]).toEqual([200, undefined])
  })

  test('a sign-out at another host does not end a session of this one', async () => {
    const headers = { Cookie: cookie() }
    const visit = await vestibule().visitor().post(`${OTHER}/oauth2/logout`, {}, { headers })
    expect([visit.status, visit.headers.location]).toEqual([303, `${OTHER}/oauth2/signed-out`])
    expect((await vestibule().check({}, { Cookie: cookie() })).status).toBe(200)
  })

  test('with COOKIE_DOMAIN the hosts below it share a session, and apps still never see it', async () => {
    await using shared = await startRelyingParty({ COOKIE_DOMAIN: 'example.com' })
    const own = await shared.vestibule.signIn('alice')
    expect(own).toContain('__Secure-vestibule=')
    for (const host of ['app.example.com', 'other.example.com']) {
      const visit = await shared.vestibule.check({ host }, { Cookie: `${own}; a=1` })
      expect([visit.status, visit.headers.cookie]).toEqual([200, 'a=1'])
    }
  })

  test('a cookie of another name is taken away as well', async () => {
    await using renamed = await startRelyingParty({ COOKIE_NAME: 'door' })
    const own = cookieHeader((await renamed.attempt()).browser)
    expect(own).toContain('__Host-door=')
    const visit = await renamed.vestibule.check({}, { Cookie: `${own}; vestibule=theirs` })
    expect([visit.status, visit.headers.cookie]).toEqual([200, 'vestibule=theirs'])
  })
})

describeBrowsers('A37 the session cookie and the app', hosts, (open) => {
  test('the app sees its own cookies and none of ours', async () => {
    const browser = open()
    await browser.signIn(`${APP}/`, 'alice')
    expect(givenTo(givenToApp(await browser.fetch(`${APP}/headers`)), 'Cookie')).toEqual([])
    await browser.fetch(`${APP}/set-cookie?name=basket&value=full`)
    for (const path of ['/headers', '/public/headers']) {
      const app = givenToApp(await browser.fetch(APP + path, { headers: { Accept: '*/*' } }))
      const [given = ''] = givenTo(app, 'Cookie')
      expect(given.split('; ').toSorted()).toEqual(['basket-2=full', 'basket=full'])
      expect(JSON.stringify(app)).not.toMatch(/vestibule|v1\./)
    }
  })

  test('the app sees no session in any spelling of the header', async () => {
    const browser = open()
    await browser.signIn(`${APP}/`, 'alice')
    const headers = { cookie: [cookieHeader(browser) ?? '', 'a=1'] }
    const visit = await browser.fetch(`${APP}/headers`, { headers })
    expect(JSON.stringify(givenToApp(visit))).not.toContain('vestibule')
  })
})

const TOKEN_HEADER = 'X-Auth-Request-Access-Token'
const PASSING = { PASS_AUTHORIZATION: 'true', PASS_ACCESS_TOKEN: 'true' }
const SCRIPT = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

const time = takeTime()
const withAuthorization = { authResponseHeaders: [...authResponseHeaders, 'Authorization'] }
const blanking = prepared(() => startProxiedHosts({ settings: PUBLIC, gateway: withAuthorization }))
const passing = prepared(() =>
  startProxiedHosts({ settings: { ...PUBLIC, ...PASSING }, gateway: withAuthorization }),
)

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
    const { vestibule } = hosts().party
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
    expect([fetched.status, JSON.parse(fetched.body)]).toEqual([
      403,
      { error: 'forbidden', request_id: expect.any(String) as string },
    ])
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

describeBrowsers('A39 Authorization without settings for it', hosts, (open) => {
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
    const forged = { [TOKEN_HEADER]: 'forged' }
    for (const path of ['/headers', '/public/x'])
      expect(await given(browser, TOKEN_HEADER, forged, path)).toEqual([])
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
