import { expect, test } from 'vitest'
import { expectLogin } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { expectKnownLocations, expectRefusedReturn, rdQuery } from '../support/return-to.ts'
import { sendLines } from '../support/wire-requests.ts'
import { rows, words } from '../support/words.ts'

const { sut, vestibule, refuses, leads } = returnAddressTables()

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

const hostile = words`
  //evil.example ///evil.example ////evil.example //evil.example/%2f.. /\\evil.example
  \\\\evil.example \\/evil.example \\evil.example //\\evil.example /\t/evil.example /\n/evil.example
  /\r/evil.example /\r\n/evil.example /\0/evil.example /\x20/evil.example \t//evil.example
  \x20//evil.example \n//evil.example \u00a0//evil.example \ufeff//evil.example \u2028//evil.example
  //evil.example\x20 https:\\evil.example https:\\\\evil.example https:evil.example
  https:/evil.example https:///evil.example http:evil.example http:/evil.example http://evil.example
  https://evil.example ht\ttps://evil.example https:\n//evil.example https://\tevil.example
  https:/\\evil.example https:\\/evil.example //app.example.com \\\\app.example.com
  https:app.example.com https:/app.example.com https:///app.example.com evil.example evil.example//
  .//evil.example ?//evil.example #//evil.example \x20
`

refuses('A40: %j is refused with a page', hostile)

test.for(words`
  ?rd=/%09/evil.example ?rd=%09//evil.example ?rd=%2f%2fevil.example ?rd=%2F%5Cevil.example
  ?rd=%5c%5cevil.example ?rd=/%5cevil.example ?rd=/+/evil.example ?rd=+//evil.example
  ?rd=//evil.example ?rd=/\\evil.example ?rd=/%00/evil.example ?rd=%E2%80%A8//evil.example
  ?rd=//evil.example#x ?x=1&rd=//evil.example&y=/ ?%72d=//evil.example ?r%64=//evil.example
`)('A40: the query %s is refused, however it is written', async (query) => {
  const visit = await sut().login(query)
  expectRefusedReturn(visit)
  expect(visit.body).toContain('This request cannot be answered')
})

leads('A40: a path or address of ours is where the sign-in ends: %s', [
  ...words`
    / /a /a/b?c=d&e=%2F%2Fevil.example#f /a//b /?next=//evil.example /#//evil.example
    /%09/evil.example ${APP}/a?b https://other.example.com/x
  `,
  ['/é', `${APP}/%C3%A9`],
  [APP, `${APP}/`],
  ['https://APP.example.com/x', `${APP}/x`],
])

test.for(['', '?rd=', '?rd', '?', '?x=//evil.example'])(
  'without an address the sign-in ends at the root: %s',
  async (query) => expect((await sut().land(query)).target).toBe(`${APP}/`),
)

refuses('A40: an address with a long path is refused: %s', [
  ['3001 characters', `/${'a'.repeat(3001 - APP.length - 1)}`],
  ['20 000 characters', `/${'a'.repeat(20_000)}`],
  ['3001 characters of a short path', `/${'a/../'.repeat(600)}`],
  ['3001 characters with a host', `${APP}/${'a'.repeat(3001 - APP.length - 1)}`],
])

test.for([
  ['3000 characters with a host', `${APP}/${'a'.repeat(2999 - APP.length)}`],
  ['3000 characters with a query', `${APP}/?${'a'.repeat(2998 - APP.length)}`],
  ['2000 characters of path', `/${'a'.repeat(1999)}`],
  ['2976 characters of path', `/${'a'.repeat(2976 - 1)}`],
  ['200 letters that take six characters each', `/${'é'.repeat(200)}`],
  ['1000 letters that take six characters each', `/${'é'.repeat(1000)}`],
  ['2000 letters that take nine characters each', `/${'。'.repeat(2000)}`],
] as const)('A40: an address is refused at once or kept to the end: %s', async ([, rd]) => {
  const { target, trail, last } = await sut().land(rdQuery(rd))
  expect(trail.flatMap(({ refusedCookies }) => refusedCookies)).toEqual([])
  if (target === undefined) return expectRefusedReturn(last)
  expect(target).toBe(new URL(rd, APP).href)
})

test.for([
  ['1000 quotes in the path', `/${'"'.repeat(1000)}`],
  ['1000 quotes in the query', `/?${'"'.repeat(1000)}`],
  ['8 KiB', `/${'a'.repeat(8191)}`],
  ['500 bytes above ASCII', `/${'\xe9'.repeat(500)}`],
] as const)('A40: what the check sends to the sign-in is accepted there: %s', async ([, uri]) => {
  const { location } = await vestibule().check({ uri })
  const { target } = await sut().land(new URL(location ?? '').search)
  expect(target).toMatch(/^https:\/\/app\.example\.com\/(?!\/)/)
})

test.for([
  ['/search?q=a\\b', `${APP}/search?q=a%5Cb`],
  ['/?\\\\evil.example\\', `${APP}/?%5C%5Cevil.example%5C`],
  ['/?q=a?b\\/evil.example', `${APP}/?q=a?b%5C/evil.example`],
  ...rows`/a\\b?q=c /\\evil.example /\\evil.example?\\ /\\/evil.example`(`${APP}/`),
] as const)('A40: the check keeps a backslash in the query alone: %s', async ([uri, expected]) => {
  const asked = await vestibule().check({ uri })
  expectLogin(asked, expected)
  const { target, trail } = await sut().land(new URL(asked.location ?? '').search)
  expect(target).toBe(expected)
  expectKnownLocations(trail, sut().party.provider.issuer)
  const form = { Referer: APP + uri, 'Content-Type': 'application/x-www-form-urlencoded' }
  expectLogin(await vestibule().check({ method: 'POST' }, form), expected, [], 303)
})

test('A40: a refusal is logged without the address', async () => {
  for (const path of ['login', 'logout']) {
    const headers = { 'X-Request-Id': `request-a40-${path}`, traceparent: TRACE }
    const own = { request_id: headers['X-Request-Id'], event: 'suspicious_return_to' }
    // The log is rate limited, so that an earlier test may have used up this line.
    await expect
      .poll(async () => {
        await vestibule().visitor().get(`${APP}/oauth2/${path}?rd=//evil.example`, { headers })
        return vestibule().log()
      })
      .toContainEqual(
        expect.objectContaining({ ...own, host: 'app.example.com', traceparent: TRACE }),
      )
  }
  expect(vestibule().output()).not.toContain('evil.example')
})

test('A40: a script gets its refusal as JSON, and a HEAD or a prefetch has no effect', async () => {
  const browser = vestibule().visitor()
  const url = `${APP}/oauth2/login${rdQuery('//evil.example')}`
  const script = await browser.fetch(url)
  expect([script.status, script.headers['content-type']]).toEqual([400, 'application/json'])
  expect(JSON.parse(script.body)).toMatchObject({ error: 'invalid_return_to' })
  const head = await browser.request('HEAD', url)
  const prefetch = await browser.get(url, { headers: { 'Sec-Purpose': 'prefetch' } })
  for (const { location, setCookies, body } of [script, head, prefetch]) {
    expect({ location, setCookies }).toEqual({ location: undefined, setCookies: [] })
    expect(body).not.toContain('evil')
  }
})

const own = words`
  /oauth2 /oauth2/ /oauth2/logout /oauth2/login /oauth2/login?rd=/oauth2/login?rd=/
  /oauth2/login?rd=https%3A%2F%2Fevil.example /oauth2/callback?code=a&state=b /oauth2/signed-out
  /oauth2/me /oauth2/backchannel-logout /oauth2/nothing-here /oauth2/logout#x /oauth2?x
  /OAUTH2/logout /OAuth2/Logout /%6fauth2/logout /%4Fauth2/logout /oauth%32/logout
  /oauth2%2flogout /oauth2%2Flogout /oauth2%5clogout /%256fauth2/logout /oauth2;x=y/logout
  /;x/oauth2/logout /a/../oauth2/logout /./oauth2/logout /a/%2e%2e/oauth2/logout
  /a/%2e%2e%2foauth2/logout /oauth2/../oauth2/logout /a//../../oauth2/logout /ｏauth2/logout
  /a/..;/%256fauth2/logout /a/..;/%u006fauth2%5clogout /oauth２/logout /oauth2%00/logout /oauth2%20/logout /oauth2%3f/logout /oauth2%23/logout
`

leads(
  'A46: a path of ours becomes the root: %s',
  own.map((path) => [path, `${APP}/`]),
)

leads(
  'A46: an address of ours becomes the root of its host: %s',
  ['/oauth2/logout', '/OAUTH2/login?rd=/x', '/a/../oauth2/logout'].flatMap((path) =>
    [APP, 'https://other.example.com'].map((origin) => [origin + path, `${origin}/`] as const),
  ),
)

leads(
  'A46: a path of the app is left as it is: %s',
  words`
      /oauth2-client/x /oauth2x /oauth /oauth/2 /a/oauth2/logout /?x=/oauth2/logout
      /#/oauth2/logout /oauth2.html
    `,
)

test('A46: a sign-in that was told to sign out leaves its user signed in', async () => {
  const { browser } = await sut().party.attempt()
  const last = await browser.get(`${APP}/oauth2/login?rd=/oauth2/logout`)
  await browser.get((await browser.get(last.location ?? '')).location ?? '')
  const cookie = browser.cookies.header(new URL(APP))
  expect((await vestibule().check({}, { Cookie: cookie })).status).toBe(200)
})

test.for(words`
    /oauth2/logout /OAUTH2/login?rd=/x /a/../oauth2/callback /%6fauth2/logout
  `)('A46: a sign-out with our own page as target leads to the root: %s', async (path) => {
  const browser = vestibule().visitor()
  for (const rd of [path, APP + path]) {
    const visit = await browser.post(`${APP}/oauth2/logout${rdQuery(rd)}`)
    expect([visit.status, visit.location]).toEqual([303, `${APP}/`])
  }
})

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

test.for([
  ...words`
    ?rd=/a&rd=/b ?rd=/a&rd=/a ?rd=&rd=/a ?rd=/a&rd= ?rd&rd=/a ?rd=/a&rd=//evil.example
    ?rd=//evil.example&rd=/a ?rd=/a&%72d=//evil.example ?%72%64=/a&rd=/b ?rd=/a&x=1&r%64=/b
    ?rd=/a&prompt=login&prompt=none ?prompt=login&prompt=login
  `,
  `?${'rd=/a&'.repeat(500)}`,
])('A47: a parameter that is sent twice is refused (A55): %s', async (query) => {
  const visit = await sut().login(query)
  expectRefusedReturn(visit)
  expect(visit.body).toMatch(/The parameter (?:rd|prompt) was sent more than once/)
})

test.for(words`
  ?RD=${EVIL} ?Rd=${EVIL} ?rd[]=${EVIL} ?rd[0]=${EVIL} ?rd.x=${EVIL} ?%20rd=${EVIL} ?rd%00=${EVIL}
  ?redirect=${EVIL} ?redirect_uri=${EVIL} ?return_to=${EVIL}
  ?returnTo=${EVIL}&next=${EVIL}&url=${EVIL}&target_link_uri=${EVIL}
  ?iss=${EVIL}&login_hint=x&target_link_uri=${EVIL} ?x=1;rd=${EVIL} ?state=${EVIL}&code=x
`)('A47: a parameter of another name changes nothing (A69): %s', async (query) => {
  const { target, trail } = await sut().land(query)
  expect(target).toBe(`${APP}/`)
  expectKnownLocations(trail, sut().party.provider.issuer)
  expect(trail[0]?.location).not.toContain('evil.example')
})

test.for(Object.entries(carriers))('A47: no header carries it: %s: %s', async ([name, value]) => {
  const browser = vestibule().visitor()
  for (const [query, end] of Object.entries({ '': '/', '?rd=/a': '/a' })) {
    const visit = await browser.get(`${APP}/oauth2/login${query}`, { headers: { [name]: value } })
    expectKnownLocations([visit], sut().party.provider.issuer)
    const sent = new URL(visit.location ?? '').searchParams
    expect(sent.get('redirect_uri')).toBe(`${APP}/oauth2/callback`)
    expect(`${visit.rawHeaders.join()}${visit.body}`).not.toContain('evil.example')
    expect((await browser.signIn(visit.location ?? '', 'alice')).url).toBe(APP + end)
    browser.cookies.clear()
  }
})

test('A47: all of these headers at the callback change nothing', async () => {
  const { browser, callbackUrl } = await sut().party.untilCallback()
  const visit = await browser.get(callbackUrl, { headers: carriers })
  expect([visit.status, visit.headers.location]).toEqual([302, `${APP}/`])
  expect(visit.setCookies.join()).not.toMatch(/evil|domain=/i)
})

test.for([
  ['an absolute target', `GET ${EVIL}oauth2/login?rd=/ HTTP/1.1`, 'app.example.com'],
  ['another Host', 'GET /oauth2/login?rd=/ HTTP/1.1', 'evil.example'],
  ['two slashes', 'GET //evil.example/oauth2/login?rd=/ HTTP/1.1', 'app.example.com'],
  ['a back-slash', 'GET /\\evil.example/oauth2/login?rd=/ HTTP/1.1', 'app.example.com'],
  ['user info in Host', 'GET /oauth2/login?rd=/ HTTP/1.1', 'app.example.com@evil.example'],
  ['no Host', 'GET /oauth2/login?rd=/ HTTP/1.0', undefined],
] as const)(
  'A47: the request line and Host do not carry the target: %s',
  async ([, line, host]) => {
    const { publicPort } = vestibule()
    const hosts = host ? [`Host: ${host}`] : []
    const { text, head, header } = await sendLines(publicPort, line, ...hosts)
    const location = header('location')
    if (location) expect(location).toMatch(`${sut().party.provider.issuer}/auth?`)
    else expect(head).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(text).not.toContain('evil.example')
  },
)
