import { expect, test } from 'vitest'
import { asProgram, bearerRule, expectTokenRefusal } from '../support/bearers.ts'
import { expectSafePage } from '../support/our-pages.ts'
import { prepared } from '../support/prepared.ts'
import { expectRefusal } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { breakSignature } from '../support/tokens.ts'
import { asScript, useBearerParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useBearerParty([
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/denied/**'], access: 'deny' },
  bearerRule('/api/**', {}, { preflight: 'pass' }),
  bearerRule('/once/**', {}, { oneTime: true }),
  { access: 'signed-in' },
])
const { check } = party
const cookie = prepared(() => party.vestibule.signIn('alice'))
const token = prepared(() => party.mint())

// The other pages, which may not be framed either, are those of A99, and A68 has the endpoints that do not exist.
test('A70: no frame and no script in the page for a path that is not permitted', async () => {
  const visit = await party.check({ uri: '/denied' })
  expect(visit.status).toBe(403)
  expectSafePage(visit, party.provider.issuer)
})

function withSession(headers: VisitHeaders, uri = '/api/'): Promise<Visit> {
  return check({ uri }, { Cookie: cookie(), ...headers })
}

async function expectUser(headers: VisitHeaders, user: string, uri?: string): Promise<Visit> {
  const visit = await withSession(headers, uri)
  expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, user])
  return visit
}

test('A87: a good bearer beside a good session names the user', () =>
  expectUser({ Authorization: `Bearer ${token()}` }, 'robot'))

test.for<[string, (good: string) => string | readonly string[]]>([
  ['with a broken signature', (good) => `Bearer ${breakSignature(good)}`],
  ['that is opaque', () => 'Bearer 2YotnFZFEjr1zCsicMWpAA'],
  ['of 40 KB', (good) => `Bearer ${good}${'A'.repeat(40_000)}`],
  ['as DPoP without a proof', (good) => `DPoP ${good}`],
  ['behind another scheme', (good) => ['Basic eDp5', `Bearer ${good}`]],
])('A87: a bad bearer beside a good session is refused: %s', async ([, make]) => {
  const visit = await withSession({ Authorization: make(token()) })
  expectTokenRefusal(visit, 'invalid_token')
  expect(visit.rawHeaders.join('\n') + visit.body).not.toContain(token())
})

test.for(['Basic eDp5', 'Digest username="x"', 'Negotiate abc', 'Bearerish x', 'Token x'])(
  'another scheme is the app’s, and the session decides: %s',
  async (Authorization) => {
    expect((await expectUser({ Authorization }, 'alice')).headers.authorization).toBeUndefined()
    expect((await check({ uri: '/api/' }, { Authorization })).status).toBe(302)
  },
)

test.for([() => `Bearer ${token()}`, () => 'Bearer a b', () => 'DPoP x'])(
  'where a rule knows no tokens the header is neither read nor an error: %s',
  async (make) => {
    await expectUser({ Authorization: make() }, 'alice', '/')
    expect((await check({ uri: '/' }, { Authorization: make() })).status).toBe(302)
  },
)

test.for(words`access_token token bearer Authorization`)(
  'A87: no token is in ?%s=',
  async (name) => {
    const uri = `/api/?${name}=${token()}`
    expect((await check({ uri })).status).toBe(302)
    expect((await check({ uri }, asProgram)).status).toBe(401)
    expect((await withSession({}, uri)).headers['x-auth-request-user']).toBe('alice')
  },
)

test.for(words`
  X-Authorization Proxy-Authorization X-Forwarded-Authorization X-Access-Token
`)('A87: a token in %s is none', async (name) => {
  const visit = await check({ uri: '/api/' }, { ...asProgram, [name]: `Bearer ${token()}` })
  expect(visit.status).toBe(401)
})

test.for<[string, number, (headers: VisitHeaders) => Promise<Visit>]>([
  ['a path of ours', 403, (headers) => withSession(headers, '/oauth2/login')],
  ['a host that is not ours', 400, (headers) => check({ host: 'evil.test' }, headers)],
  ['a forged header', 400, (headers) => withSession({ ...headers, X_Auth_Request_User: 'root' })],
  ['what is no method', 400, (headers) => check({ method: 'foo' }, headers)],
])('A87: a browser’s headers around a bearer get no page for %s', async ([, status, ask]) => {
  const visit = await ask({ Authorization: 'Bearer x' })
  expect(visit).toMatchObject({ status, setCookies: [], location: undefined })
  expect(visit.headers['content-type']).toBe('application/json')
})

test('A87: no part of a token is logged', async () => {
  const [, payload = '', signature = ''] = token().split('.')
  for (const part of [token(), payload, signature]) {
    expect(party.vestibule.output()).not.toContain(part)
  }
})

const ORIGINS = words`
  https://evil.test null https://app.example.com.evil.test https://evil.app.example.com
  https://evilapp.example.com http://app.example.com https://app.example.com:8443
  https://app.example.com * https://evil.test\t
`

function script(origin: string): VisitHeaders {
  return { Origin: origin, Accept: '*/*', ...asScript, 'Sec-Fetch-Site': 'cross-site' }
}

function expectNoCors(visit: Visit, origin: string): void {
  const names = Object.keys(visit.headers)
  expect(names.filter((name) => name.startsWith('access-control-'))).toEqual([])
  const foreign = origin.includes('evil') || origin.includes('8443')
  if (foreign) expect(`${visit.rawHeaders.join('\n')}\n${visit.body}`).not.toContain(origin.trim())
}

test.for(ORIGINS)('A97: no answer of the check allows or repeats %j', async (origin) => {
  const visits: Visit[] = []
  const credentials = [{ Cookie: cookie() }, { Authorization: `Bearer ${token()}` }]
  for (const uri of ['/', '/public/a', '/denied/a', '/api/a', '/once/a', '/oauth2/me']) {
    for (const credential of [{}, ...credentials, { Authorization: 'Bearer x' }]) {
      const headers = { ...script(origin), ...credential }
      visits.push(await party.check({ uri }, headers))
      const preflight = { ...headers, 'Access-Control-Request-Method': 'PUT' }
      visits.push(await party.check({ uri, method: 'OPTIONS' }, preflight))
    }
  }
  for (const visit of visits) expectNoCors(visit, origin)
  expect(new Set(visits.map(({ status }) => status))).toEqual(new Set([200, 401, 403]))
})

test.for(ORIGINS)('A97: no page of ours allows or repeats %j', async (origin) => {
  const browser = party.visitor()
  for (const path of ['/oauth2/me', '/oauth2/login?rd=/', '/oauth2/logout', '/healthz']) {
    for (const method of ['GET', 'OPTIONS']) {
      const headers = { ...script(origin), Cookie: cookie() }
      expectNoCors(await browser.request(method, `${APP}${path}`, { headers }), origin)
    }
  }
})

/** Every sign of a handshake once a proxy has taken `Upgrade` away. */
const HANDSHAKES: readonly (readonly [string, VisitHeaders, string])[] = [
  ['the scheme', {}, 'wss'],
  ['its key', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }, 'https'],
  ['its version', { 'Sec-WebSocket-Version': '13' }, 'https'],
  ['fetch metadata', { 'Sec-Fetch-Mode': 'websocket', 'Sec-Fetch-Dest': 'websocket' }, 'https'],
]

const FOREIGN = [
  '',
  ...words`
    https://evil.test null http://app.example.com https://app.example.com.evil.test
    https://evil.app.example.com https://app.example.com:8443 https://app.example.com@evil.test
    https://app.example.com,\x20https://evil.test
  `,
]

type Handshake = (typeof HANDSHAKES)[number]

function shake([, handshake, proto]: Handshake, headers: VisitHeaders, uri = '/socket') {
  return party.check({ uri, proto }, { ...handshake, ...headers })
}

test.for(HANDSHAKES)('A98: another site’s handshake is refused, told by %s', async (handshake) => {
  for (const Origin of FOREIGN) {
    for (const uri of ['/socket', '/public/socket', '/api/socket']) {
      const visit = await shake(handshake, { Cookie: cookie(), Origin }, uri)
      expectRefusal(visit, 403, Origin.includes('evil') ? ['evil'] : [])
    }
  }
})

test.for(HANDSHAKES)('A98: a handshake of ours passes with the cookie: %s', async (handshake) => {
  for (const Origin of ['https://app.example.com', 'https://other.example.com', undefined]) {
    const { status, setCookies } = await shake(handshake, { Cookie: cookie(), Origin })
    expect([status, setCookies], Origin).toEqual([200, []])
  }
})

test.for(HANDSHAKES)('A98: a handshake without credentials gets 401: %s', async (handshake) => {
  const visit = await shake(handshake, { Origin: 'https://app.example.com' })
  expectRefusal(visit, 401)
  expect(visit.headers['www-authenticate']).toBe('Bearer realm="app.example.com"')
})

test('A98: a program’s handshake passes with a token, and not with a bad one', async () => {
  const good = `Bearer ${await party.mint()}`
  const ask = async (Authorization: string, headers: VisitHeaders = {}): Promise<Visit['status']> =>
    (await shake(HANDSHAKES[1] as Handshake, { Authorization, ...headers }, '/api/socket')).status
  expect([await ask(good), await ask('Bearer x', { Cookie: cookie() })]).toEqual([200, 401])
  expect(await ask(good, { Origin: 'https://evil.test' })).toBe(403)
})
