import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { expectKnownLocations, expectRefusedReturn } from '../support/return-to.ts'
import { sendLines } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const { sut, vestibule } = returnAddressTables()

const EVIL = 'https://evil.example/'

const carriers = {
  'X-Auth-Request-Redirect': EVIL,
  'X-Redirect': EVIL,
  'X-Return-To': EVIL,
  'X-Forwarded-Host': 'evil.example',
  'X-Forwarded-Uri': '//evil.example',
  'X-Forwarded-Proto': 'http',
  'X-Forwarded-Port': '8443',
  'X-Forwarded-Prefix': '//evil.example',
  'X-Forwarded-Server': 'evil.example',
  'X-Forwarded-Method': 'DELETE',
  'X-Original-Url': EVIL,
  'X-Original-Host': 'evil.example',
  'X-Rewrite-Url': EVIL,
  'X-Host': 'evil.example',
  Forwarded: 'host=evil.example;proto=http',
  Referer: EVIL,
  Origin: 'https://evil.example',
} as const

describe('A47 other carriers of the target', () => {
  test.for([
    ...words`
      ?rd=/a&rd=/b ?rd=/a&rd=/a ?rd=&rd=/a ?rd=/a&rd= ?rd&rd=/a ?rd=/a&rd=//evil.example
      ?rd=//evil.example&rd=/a ?rd=/a&%72d=//evil.example ?%72%64=/a&rd=/b ?rd=/a&x=1&r%64=/b
      ?rd=/a&prompt=login&prompt=none ?prompt=login&prompt=login
    `,
    `?${'rd=/a&'.repeat(500)}`,
  ])('a parameter that is sent twice is refused: %s', async (query) => {
    const visit = await sut().login(query)
    expectRefusedReturn(visit)
    expect(visit.body).toMatch(/The parameter (?:rd|prompt) was sent more than once/)
  })

  test.for(words`
    ?RD=${EVIL} ?Rd=${EVIL} ?rd[]=${EVIL} ?rd[0]=${EVIL} ?rd.x=${EVIL} ?%20rd=${EVIL}
    ?rd%00=${EVIL} ?redirect=${EVIL} ?redirect_uri=${EVIL} ?return_to=${EVIL}
    ?returnTo=${EVIL}&next=${EVIL}&url=${EVIL}&target_link_uri=${EVIL}
    ?iss=${EVIL}&login_hint=x&target_link_uri=${EVIL} ?x=1;rd=${EVIL} ?state=${EVIL}&code=x
  `)('a parameter of another name changes nothing: %s', async (query) => {
    const { target, trail } = await sut().land(query)
    expect(target).toBe(`${APP}/`)
    expectKnownLocations(trail, sut().party.provider.issuer)
    expect(trail[0]?.location).not.toContain('evil.example')
  })

  test.for(Object.entries(carriers))('no header carries it: %s: %s', async ([name, value]) => {
    const browser = vestibule().visitor()
    for (const [query, end] of Object.entries({ '': '/', '?rd=/a': '/a' })) {
      const visit = await browser.get(`${APP}/oauth2/login${query}`, {
        headers: { [name]: value },
      })
      expectKnownLocations([visit], sut().party.provider.issuer)
      const sent = new URL(visit.location ?? '').searchParams
      expect(sent.get('redirect_uri')).toBe(`${APP}/oauth2/callback`)
      expect(`${visit.rawHeaders.join()}${visit.body}`).not.toContain('evil.example')
      expect((await browser.signIn(visit.location ?? '', 'alice')).url).toBe(APP + end)
      browser.cookies.clear()
    }
  })

  test('all of these headers at the callback change nothing', async () => {
    const { browser, callbackUrl } = await sut().party.untilCallback()
    const visit = await browser.get(callbackUrl, { headers: carriers })
    expect([visit.status, visit.headers.location]).toEqual([302, `${APP}/`])
    expect(visit.setCookies.join()).not.toMatch(/evil|domain=/i)
  })

  test.for(words`
    ?RD=${EVIL}&Post_Logout_Redirect_Uri=${EVIL}
    ?rd[]=${EVIL}&rd.x=${EVIL}&returnTo=${EVIL}&redirect_uri=${EVIL}
    ?logout_uri=${EVIL}&next=${EVIL}&x=1;rd=${EVIL} ?state=${EVIL}
  `)('a parameter of another name does not move a sign-out: %s', async (query) => {
    const { browser } = await sut().party.attempt()
    const headers = { ...carriers, Origin: APP }
    const visit = await browser.post(`${APP}/oauth2/logout${query}&local=true`, {}, { headers })
    expect([visit.status, visit.headers.location]).toEqual([303, `${APP}/oauth2/signed-out`])
    expect(`${visit.rawHeaders.join()}${visit.body}`).not.toContain('evil.example')
  })

  test('a target in the body of a POST is not taken, whatever its type', async () => {
    const browser = vestibule().visitor()
    const form = await browser.post(`${APP}/oauth2/login`, { rd: EVIL })
    const json = await browser.post(`${APP}/oauth2/login?rd=/`, undefined, {
      body: JSON.stringify({ rd: EVIL }),
      headers: { 'Content-Type': 'application/json' },
    })
    for (const visit of [form, json]) {
      expect([404, 405]).toContain(visit.status)
      expect([visit.headers.location, visit.setCookies]).toEqual([undefined, []])
      expect(visit.body).not.toContain('evil.example')
    }
  })

  test.for([
    ['an absolute target', `GET ${EVIL}oauth2/login?rd=/ HTTP/1.1`, 'app.example.com'],
    ['another Host', 'GET /oauth2/login?rd=/ HTTP/1.1', 'evil.example'],
    ['two slashes', 'GET //evil.example/oauth2/login?rd=/ HTTP/1.1', 'app.example.com'],
    ['a back-slash', 'GET /\\evil.example/oauth2/login?rd=/ HTTP/1.1', 'app.example.com'],
    ['user info in Host', 'GET /oauth2/login?rd=/ HTTP/1.1', 'app.example.com@evil.example'],
    ['no Host', 'GET /oauth2/login?rd=/ HTTP/1.0', undefined],
  ] as const)('the request line and Host do not carry the target: %s', async ([, line, host]) => {
    const { publicPort } = vestibule()
    const hosts = host ? [`Host: ${host}`] : []
    const { text, head, header } = await sendLines(publicPort, line, ...hosts)
    const location = header('location')
    if (location) expect(location).toMatch(`${sut().party.provider.issuer}/auth?`)
    else expect(head).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(text).not.toContain('evil.example')
  })

  test('two Host headers are refused', async () => {
    const hosts = ['Host: app.example.com', 'Host: evil.example']
    const line = 'GET /oauth2/login HTTP/1.1'
    const { text, header } = await sendLines(vestibule().publicPort, line, ...hosts)
    expect(text).not.toContain('evil.example')
    expect(header('location') ?? sut().party.provider.issuer).toMatch(sut().party.provider.issuer)
  })
})
