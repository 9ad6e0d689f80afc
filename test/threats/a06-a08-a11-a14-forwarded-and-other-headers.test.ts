import { describe, expect, test } from 'vitest'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'
import { type Forwarded, startVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visit, type VisitHeaders } from '../support/visitor.ts'
import { labelled, words } from '../support/words.ts'

const party = useParty({ PUBLIC_PATHS: '/public/**' })
const cookie = prepared(() => party.vestibule.signIn('alice'))

const refused = words`
  http ws HTTPS Https WSS javascript https,http https,\x20https http,https https: https://
  https\x20, "https" ftp file h2 httpsx xhttps on 1 __proto__
`

test('A06: https is the scheme of an https host', async () => {
  expectLogin(await party.check({ proto: 'https' }), `${APP}/`)
  expect((await party.check({ proto: 'https' }, { Cookie: cookie() })).status).toBe(200)
})

test.for(refused)(
  'A06: %s is not, with and without a session, on public paths too',
  async (proto) => {
    const requests = [
      await party.check({ proto }),
      await party.check({ proto }, { Cookie: cookie() }),
      await party.check({ proto, uri: '/public/a' }),
    ]
    for (const visit of requests) expectRefusal(visit, 400, ['javascript', 'ftp'])
  },
)

test('A06: an empty one is not replaced by the scheme of the connection', async () =>
  expectRefusal(await party.check({}, { 'X-Forwarded-Proto': '', Cookie: cookie() }), 400))

test('A06: wss counts as https and is a WebSocket: 200 with a session, 401 without', async () => {
  const headers = { Origin: APP, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }
  const open = await party.check({ proto: 'wss' }, { ...headers, Cookie: cookie() })
  expect(open).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
  const closed = await party.check({ proto: 'wss' }, headers)
  expectRefusal(closed, 401)
  expect(JSON.parse(closed.body)).toEqual({
    error: 'login_required',
    login_url: `${APP}/oauth2/login?rd=${encodeURIComponent(`${APP}/`)}`,
  })
})

test('A06: the scheme of a redirect comes from configuration', async () => {
  await using plain = await startVestibule({
    PROTECTED_HOSTS: 'http://app.localhost:8080,https://app.example.com',
  })
  const host = 'app.localhost:8080'
  expectLogin(await plain.check({ host, proto: 'http' }), `http://${host}/`)
  expectRefusal(await plain.check({ host, proto: 'ws' }), 401)
  expectRefusal(await plain.check({ host, proto: 'https' }), 400)
  expectRefusal(await plain.check({ host, proto: 'wss' }), 400)
  expectRefusal(await plain.check({ proto: 'http' }), 400)
  const spoofed = { 'X-Forwarded-Scheme': 'http', 'X-Scheme': 'http', 'X-Forwarded-Ssl': 'off' }
  expectLogin(await plain.check({}, spoofed), `${APP}/`, ['http://'])
})

test('A06: an http host is served no cookie of an https host', async () => {
  await using plain = await startVestibule({
    PROTECTED_HOSTS: 'http://app.localhost:8080,https://app.example.com',
    OIDC_ISSUER_URL: party.provider.issuer,
  })
  const visit = await plain.check(
    { host: 'app.localhost:8080', proto: 'http' },
    { Cookie: cookie().replaceAll('__Host-', '') },
  )
  expectLogin(visit, 'http://app.localhost:8080/')
})

const NEVER_READ = words`
  Forwarded X-Forwarded-Prefix X-Forwarded-Port X-Forwarded-Server X-Forwarded-Scheme
  X-Forwarded-Ssl X-Forwarded-Path X-Forwarded-User X-Original-URL X-Original-URI X-Original-Host
  X-Original-Method X-Original-Forwarded-For X-Rewrite-URL X-Real-Ip X-Host X-Scheme X-Url-Scheme
  X-ProxyUser-Ip X-Client-Ip True-Client-Ip CF-Connecting-IP Front-End-Https Via From Remote-User
  X-Remote-User X-WEBAUTH-USER User-Agent Host
`

const VALUES = [
  ...words`
    /public/a evil.example https://evil.example/public/a for=127.0.0.1;host=evil.example;proto=http
    127.0.0.1 443 alice
  `,
  '',
]

const situations: readonly (readonly [string, Forwarded, () => VisitHeaders, number])[] = [
  ['a navigation without session', { uri: '/a?b=c' }, () => ({}), 302],
  ['a navigation with session', { uri: '/a?b=c' }, () => ({ Cookie: cookie() }), 200],
  ['a public path', { uri: '/public/a' }, () => ({}), 200],
  ['a script without session', { uri: '/a' }, () => ({ 'Sec-Fetch-Mode': 'cors' }), 401],
  ['a form without session', { uri: '/a', method: 'POST' }, () => ({}), 303],
  ['the sign-in router', { uri: '/oauth2/login' }, () => ({ Cookie: cookie() }), 403],
  ['a foreign host', { host: 'foreign.example' }, () => ({ Cookie: cookie() }), 400],
]

/** Everything that is sent but the time of day and the id of this one request. */
const comparable = ({ status, rawHeaders, body }: Visit) => ({
  status,
  headers: rawHeaders
    .flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : []))
    .filter((line) => !line.startsWith('Date: ') && !line.startsWith('date: ')),
  body,
})

test.for(situations)(
  'A08: leave the answer alone: %s',
  async ([, forwarded, headersOf, status]) => {
    const ask = async (extra: VisitHeaders) => {
      const headers = { 'X-Request-Id': 'the-same-each-time', ...headersOf(), ...extra }
      return comparable(await party.check(forwarded, headers))
    }
    const plain = await ask({})
    expect(plain.status).toBe(status)
    for (const name of NEVER_READ) {
      for (const value of VALUES) {
        if (name === 'Host' && !/^[\w.]+$/.test(value)) continue
        expect(await ask({ [name]: value }), `${name}: ${value}`).toEqual(plain)
      }
    }
    const all = Object.fromEntries(
      NEVER_READ.filter((name) => name !== 'Host').map((name) => [name, '/public/a']),
    )
    expect(await ask(all)).toEqual(plain)
  },
)

test('A08: the comparison can tell: a header that is read does change the answer', async () => {
  const read = { uri: '/a', host: 'other.example.com' }
  const plain = comparable(await party.check({ uri: '/a' }))
  expect(comparable(await party.check(read))).not.toEqual(plain)
  expect(comparable(await party.check({ uri: '/a' }, { Cookie: cookie() }))).not.toEqual(plain)
})

const claims: readonly (string | undefined | readonly string[])[] = [
  ...words`
    127.0.0.1 a 1.2.3.4,\x20::ffff:10.0.0.1 ,,,, 0177.0.0.1 2130706433 127.0.0.1:80,\x20[::1]:80
    fe80::1%eth0 <script>alert(1)</script> ';\x20DROP\x20TABLE\x20sessions;\x20--
  `,
  undefined,
  '',
  Array.from({ length: 500 }, (_, index) => `10.0.${index % 256}.1`).join(', '),
  Array.from({ length: 500 }, () => '127.0.0.1'),
  '1'.repeat(30_000),
]

describe('A11 X-Forwarded-For', () => {
  test.for(labelled(claims))('%s decides nothing', async ([, value]) => {
    const { vestibule } = party
    for (const [uri, Cookie, status] of [
      ['/admin', undefined, 302],
      ['/admin', cookie(), 200],
      ['/public/a', undefined, 200],
    ] as const) {
      const common = { Cookie, 'X-Request-Id': 'the-same-each-time' }
      const plain = await vestibule.check({ uri }, common)
      const spoofed = await vestibule.check({ uri }, { ...common, 'X-Forwarded-For': value })
      expect(plain.status).toBe(status)
      expect(comparable(spoofed)).toEqual(comparable(plain))
    }
    const real = { 'X-Real-Ip': '127.0.0.1', 'X-Forwarded-For': value }
    expectLogin(await vestibule.check({ uri: '/admin' }, real), 'https://app.example.com/admin')
  })
})

describe('A11 the address that is kept of a sign-in, for operators to read', () => {
  test.for([
    ['the right-most that is no proxy', {}, '198.51.100.1, 203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['that of the connection where none is told', {}, undefined, '127.0.0.1'],
    ['that of the connection where what is told is none', {}, '<script>', '127.0.0.1'],
    [
      'that of the connection where its other end is nobody we believe',
      { TRUSTED_PROXIES: '203.0.113.0/24' },
      '198.51.100.1',
      '127.0.0.1',
    ],
  ] as const)('A11: is %s', async ([, settings, forwardedFor, expected]) => {
    await using other = await startRelyingParty({ ...settings, ADMIN_TOKEN })
    const { browser, callbackUrl } = await other.untilCallback()
    const headers = { 'X-Forwarded-For': forwardedFor, 'X-Real-Ip': '192.0.2.1' }
    expect((await browser.get(callbackUrl, { headers })).status).toBe(302)
    const { body } = await askAdmin(other.vestibule, 'GET', 'sessions')
    expect(body).toMatchObject({ sessions: [{ subject: 'alice', address: expected }] })
  })
})

const agents = [
  ...words`
    GoogleHC/1.0 kube-probe/1.30 kube-probe/ ELB-HealthChecker/2.0 Prometheus/3.0.0
    Amazon-Route53-Health-Check-Service Blackbox\x20Exporter/0.25 Envoy/HC Traefik
    Go-http-client/1.1 curl/8.0 Googlebot/2.1
  `,
  '',
]
const paths = '/healthz /livez /readyz /startupz /health /metrics /ping /auth /-/healthy'.split(' ')

test.for(agents)('A14: are asked to sign in like everybody: %s', async (agent) => {
  for (const uri of ['/', ...paths]) {
    const headers = { 'User-Agent': agent }
    expectLogin(await party.check({ uri }, headers), `https://app.example.com${uri}`)
    const none = { 'Sec-Fetch-Mode': undefined, 'Sec-Fetch-Dest': undefined }
    const probe = { ...headers, Accept: '*/*', ...none }
    expectRefusal(await party.check({ uri }, probe), 401)
    expectRefusal(await party.check({ uri, method: 'OPTIONS' }, probe), 401)
  }
})

test('A14: with a session these are paths of the app', async () => {
  for (const uri of paths) {
    const visit = await party.check({ uri }, { Cookie: cookie(), 'User-Agent': 'kube-probe/1.30' })
    expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
  }
})

test('A14: the probes of the internal listener go by the real path alone', async () => {
  const forwarded = {
    'X-Forwarded-Method': 'DELETE',
    'X-Forwarded-Uri': '/auth',
    'X-Forwarded-Host': 'evil.example',
    'User-Agent': 'Mozilla/5.0',
  }
  const { internalPort, publicPort } = party.vestibule
  const ask = (port: number, path: string) =>
    createVisitor().get(`http://127.0.0.1:${port}${path}`, { headers: forwarded })
  for (const path of ['/livez', '/readyz', '/startupz']) {
    const visit = await ask(internalPort, path)
    expect([visit.status, visit.body]).toEqual([200, 'ok\n'])
  }
  const health = await ask(publicPort, '/healthz')
  expect([health.status, health.body]).toEqual([200, 'ok\n'])
  expect((await ask(internalPort, '/healthz')).status).toBe(404)
})
