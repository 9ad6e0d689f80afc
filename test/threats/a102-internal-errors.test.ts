import { request } from 'node:http'
import { expect, test } from 'vitest'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { type Behaviour, type Endpoint, faults } from '../support/provider.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { forwardedNavigation } from '../support/request-pool.ts'
import { cookieHeader, LOGOUT } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { FORWARDED_LINES, type RawReply, sendLines } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const party = useParty({ OIDC_USERINFO: 'always', IDENTITY_HEADERS: 'X-Team=team' })
const cookie = prepared(async () => cookieHeader((await party.attempt()).browser) ?? '')

/** A stack, a path, or the name of a class or module of the service. */
const INSIDE =
  /\bat \S+ \(|\.ts:\d|node_modules|node:internal|TypeError|RangeError|SyntaxError|undefined|\[object/

function expectGeneric(text: string): void {
  expect(text).not.toMatch(INSIDE)
}

function expectRefused({ status, text }: RawReply, statuses: readonly number[]): void {
  expect(statuses).toContain(status)
  expect(text).not.toContain('alice')
  expect(text.toLowerCase()).toContain('cache-control: no-store')
  expectGeneric(text)
}

const BROKEN_HOSTS = words`
  a\x20b [::1 a/b user@app.example.com app.example.com:99999999 app.example.com: app.example.com:x
  app.example.com\\evil.example app.example.com# app.example.com? %61pp.example.com %00 \xff\xfe .. :
  ${'a'.repeat(5000)}
`

test.for(BROKEN_HOSTS)('a broken Host is refused by the public listener: %s', async (host) => {
  const lines = ['GET /oauth2/me HTTP/1.1', `Host: ${host}`, `Cookie: ${cookie()}`]
  expectRefused(await sendLines(party.vestibule.publicPort, ...lines), [400])
})

test.for(BROKEN_HOSTS)('a broken Host is refused or ignored by the check: %s', async (host) => {
  const forwarded = FORWARDED_LINES.filter((line) => !line.startsWith('Accept'))
  const lines = ['GET /auth HTTP/1.1', `Host: ${host}`, ...forwarded, 'Accept: */*']
  expectRefused(await sendLines(party.vestibule.internalPort, ...lines), [400, 401])
})

test.for(words`
  http://evil.example/auth http://[::1/auth //auth /auth/ /auth/.. /auth;a=b /AUTH /%61uth%00 /%
  /%ff%fe /auth% /\\auth /auth\\..\\livez auth * /${'a/'.repeat(20_000)} /oauth2/login?rd=%
  /oauth2/login?rd=%E0%A4%A /oauth2/callback?state=%&code=% /oauth2/callback?${'a&'.repeat(15_000)}
  /oauth2/../oauth2/%6d%65 /__proto__ /oauth2/constructor
`)('a strange request target never gets a 2xx: %s', async (target) => {
  const { publicPort, internalPort } = party.vestibule
  for (const [port, host] of [
    [publicPort, 'app.example.com'],
    [internalPort, 'v'],
  ] as const) {
    const line = `GET ${target} HTTP/1.1`
    const { status, text } = await sendLines(port, line, `Host: ${host}`, 'Accept: text/html')
    expect(status).toBeGreaterThanOrEqual(300)
    expectGeneric(text)
  }
})

test.for([
  '=',
  ';;;;',
  '__Host-vestibule',
  '__Host-vestibule=',
  '__Host-vestibule=%E0%A4%A',
  '__Host-vestibule="v1.a.b"',
  `__Host-vestibule=v1.${'a'.repeat(30_000)}.b`,
  'a=b; '.repeat(8000),
  '__Host-vestibule=v1.\xff.\xff',
  '__Host-vestibule_login=v1.; __Host-vestibule_target=%',
])('broken cookies are no session and no error: %s', async (Cookie) => {
  expect(await party.userOf(Cookie)).toBe(302)
  expect((await party.get('/oauth2/login?rd=/', { headers: { Cookie } })).status).toBe(302)
  const callback = await party.get('/oauth2/callback?state=a&code=b', { headers: { Cookie } })
  expect(callback.status).toBe(400)
  expectGeneric(callback.body)
})

const form = 'application/x-www-form-urlencoded'

test.for<[string, string, string]>([
  ['multipart without a boundary', 'multipart/form-data', 'x'],
  ['multipart cut off', 'multipart/form-data; boundary=b', '--b\r\nContent-'],
  ['JSON', 'application/json', '{"token":"x"}'],
  ['broken JSON', 'application/json', '{'],
  ['an unknown type', ';;;', 'token=x'],
  ['an unknown charset', `${form}; charset=x`, 'a=b'],
  ['bytes that are no text', form, '%ff%fe%00'],
  ['token as an object', form, 'token[a]=b'],
  ['many tokens', form, 'token=a&token=b'],
])('a body that is no form signs nobody out: %s', async ([, type, body]) => {
  const own = { Cookie: cookie(), Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' }
  const headers = { 'Content-Type': type, ...own }
  const visit = await party.visitor().request('POST', LOGOUT, { body, headers })
  // The question or a refusal: the sign-out would be a redirect, and 500 a fault of the service.
  expect([200, 400, 415]).toContain(visit.status)
  expect(visit.setCookies).toEqual([])
  expectGeneric(visit.body)
  expect(await party.userOf(cookie())).toBe('alice')
})

const change = (changes: Readonly<Record<string, unknown>>): Behaviour => ({
  rewrite: (body) => ({ ...body, ...changes }),
})

const json = { 'Content-Type': 'application/json' }
const unauthorized = { status: 401, headers: { 'WWW-Authenticate': 'x' }, body: '' }

test.for<[string, Endpoint, Behaviour]>([
  ['tokens of other types', 'token', change({ access_token: 42 })],
  ['a refresh token that is a list', 'token', change({ refresh_token: [] })],
  ['a life that is text', 'token', change({ expires_in: 'soon' })],
  ['a life that is negative', 'token', change({ expires_in: -5 })],
  ['an unknown token type', 'token', change({ token_type: 'N_A' })],
  ['no token type', 'token', change({ token_type: undefined })],
  ['null', 'token', { status: 200, headers: json, body: 'null' }],
  ['a number', 'token', { status: 200, headers: json, body: '1' }],
  ['201', 'token', { status: 201, rewrite: (body) => body }],
  ['204', 'token', { status: 204, body: '' }],
  ['418', 'token', { status: 418, body: 'teapot' }],
  ['no UserInfo', 'userinfo', faults.down],
  ['UserInfo in HTML', 'userinfo', faults.html],
  ['UserInfo cut off', 'userinfo', faults.truncatedJson],
  ['UserInfo that is a list', 'userinfo', faults.notAnObject],
  ['UserInfo that is empty', 'userinfo', faults.emptyObject],
  ['UserInfo of 10 MB', 'userinfo', faults.tenMegabytes],
  ['UserInfo that says 401', 'userinfo', unauthorized],
  ['keys that are no object', 'jwks', faults.notAnObject],
])('a provider that answers nonsense makes no session: %s', async ([, endpoint, behaviour]) => {
  // Only the key set has to be asked for anew, by a party that holds no keys yet.
  await using fresh = endpoint === 'jwks' ? await startRelyingParty() : undefined
  const { provider, attempt } = fresh ?? party
  provider.set(endpoint, behaviour)
  const { answer, isSignedIn, browser } = await attempt()
  expect(isSignedIn).toBe(false)
  expect([400, 502, 503]).toContain(answer.status)
  expect(browser.cookies.find('__Host-vestibule')).toBeUndefined()
  expect(answer.body).toMatch(/Request [A-Za-z0-9-]{8,}/)
  expectGeneric(answer.body)
})

test('visitors who leave in the middle leave nothing behind', async () => {
  const before = party.provider.count('token')
  const left = Promise.withResolvers<void>()
  party.provider.set('token', { after: left.promise, rewrite: (body) => body })
  const leaving = await Promise.all(Array.from({ length: 5 }, () => party.untilCallback()))
  const ended = new AbortController()
  const visits = leaving.map(({ browser, callbackUrl }) =>
    browser.get(callbackUrl, { signal: ended.signal }).catch(() => undefined),
  )
  await until('requests for tokens', () => party.provider.count('token') - before >= 5)
  ended.abort()
  await Promise.all(visits)
  left.resolve()
  const { internalPort: port } = party.vestibule
  const headers = { Host: 'v', ...forwardedNavigation }
  for (let round = 0; round < 20; round += 1) {
    const outgoing = request({ host: '127.0.0.1', port, path: '/auth', headers })
    outgoing.on('error', () => undefined).end(() => outgoing.destroy())
  }
  party.provider.reset()
  expect((await party.attempt()).isSignedIn).toBe(true)
})

test('no rejection is unhandled, every line is JSON, and the session goes on', async () => {
  const { vestibule } = party
  expect(vestibule.output().trimEnd().split('\n')).toHaveLength(vestibule.log().length)
  expect(vestibule.log().filter(({ event }) => event === 'unhandled_rejection')).toEqual([])
  expect(await party.userOf(cookie())).toBe('alice')
})
