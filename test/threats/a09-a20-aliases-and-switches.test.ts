import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal, readCounter } from '../support/refusal.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { VisitHeaders } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const PUBLIC = { PUBLIC_PATHS: '/public/**' }
const party = useParty(PUBLIC)
const lenient = prepared(() => startVestibule({ ...PUBLIC, ALIAS_HEADERS: 'ignore' }))

const aliases = words`Method Proto Host Uri For`.flatMap(
  (part) => words`
    X_Forwarded_${part} X.Forwarded.${part} x_forwarded-${part.toLowerCase()}
    X-Forwarded_${part.toUpperCase()} X!Forwarded!${part} X~Forwarded~${part} X+Forwarded+${part}
    X'Forwarded'${part} X#Forwarded$${part} X%Forwarded&${part} X*Forwarded^${part}
    X\x60Forwarded|${part}
  `,
)

test.for(aliases)('A09: %s is refused by name and counted', async (name) => {
  const before = await readCounter(party.vestibule, 'alias_headers_refused')
  const script = { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' }
  for (const uri of ['/', '/public/a']) {
    const visit = await party.check({ uri }, { ...script, [name]: 'evil.example' })
    expectRefusal(visit, 400, ['evil.example'])
    const { error, message } = JSON.parse(visit.body) as Record<string, string>
    expect(error).toBe('alias_header')
    expect(message).toContain(name)
  }
  expect(await readCounter(party.vestibule, 'alias_headers_refused')).toBe(before + 2)
})

test.for(aliases)('A09: %s stands in for nothing where it is ignored', async (name) => {
  const canonical = `X-${name.replace(/[^A-Za-z]/g, '-').slice(2)}`
  const part = canonical.slice('X-Forwarded-'.length).toLowerCase()
  const says = {
    method: 'OPTIONS',
    proto: 'http',
    host: 'evil.example',
    uri: '/public/a',
    for: 'x',
  }
  const visit = await lenient().check({ uri: '/a' }, { [name]: says[part as keyof typeof says] })
  expectLogin(visit, 'https://app.example.com/a')
  if (part === 'for') return
  const legitimate = { method: 'GET', proto: 'https', host: 'app.example.com', uri: '/public/a' }
  const instead = {
    [canonicalCase(part)]: undefined,
    [name]: legitimate[part as keyof typeof legitimate],
  }
  expectRefusal(await lenient().check({ uri: '/public/a' }, instead), 400)
})

test('A09: the page of a refusal names the header, and what else it was called stays out', async () => {
  const visit = await party.check({}, { X_Forwarded_Host: '"><script>alert(1)</script>' })
  expectRefusal(visit, 400, ['<script>', 'alert(1)'])
  expect(visit.headers['content-type']).toMatch(/^text\/html/)
  expect(visit.body).toContain('X_Forwarded_Host')
})

test.for(words`
  X-Forwarded-Port x-forwarded-server X_Custom_Header X.Forwarded.Something X_Forwarded_Hosts
  XForwardedHost My_X_Forwarded_Host
`)('A09: what is no alias passes: %s', async (name) =>
  expect((await party.check({ uri: '/public/a' }, { [name]: 'a' })).status).toBe(200),
)

test('A09: any case of the canonical names is the name itself', async () => {
  const headers = { 'x-FORWARDED-host': 'app.example.com', 'X-FORWARDED-FOR': '203.0.113.9' }
  expectLogin(await party.check({}, headers), 'https://app.example.com/')
})

const canonicalCase = (part: string): string =>
  `X-Forwarded-${part.charAt(0).toUpperCase()}${part.slice(1)}`

const cookie = prepared(() => party.vestibule.signIn('alice'))

const bare: VisitHeaders = Object.fromEntries(
  words`
    Accept Sec-Fetch-Mode Sec-Fetch-Dest Sec-Fetch-Site Sec-Fetch-User User-Agent
    Upgrade-Insecure-Requests
  `.map((name) => [name, undefined]),
)

const notNavigations: readonly VisitHeaders[] = [
  { ...bare, Accept: 'text/event-stream' },
  { ...bare, Accept: '' },
  bare,
  { ...bare, Connection: 'Upgrade', Upgrade: 'h2c' },
  { ...bare, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' },
  { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
  { 'Sec-Purpose': 'prefetch;prerender' },
  { ...bare, Accept: 'text/html', 'Content-Type': 'application/grpc-web+proto' },
  { ...bare, Authorization: 'Bearer x' },
  { ...bare, Authorization: 'Basic YWRtaW46YWRtaW4=' },
]

test.for(notNavigations)('A20: %j changes the form, never the decision', async (headers) => {
  expectRefusal(await party.check({ uri: '/admin' }, headers), 401)
  expectRefusal(await party.check({ uri: '/admin', method: 'OPTIONS' }, headers), 401)
  const signedIn = await party.check({ uri: '/admin' }, { ...headers, Cookie: cookie() })
  expect(signedIn).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
  expect((await party.check({ uri: '/public/a' }, headers)).status).toBe(200)
})

test('A20: a bare request for text/html is a navigation', async () => {
  const visit = await party.check({ uri: '/admin' }, { ...bare, Accept: 'text/html' })
  expectLogin(visit, 'https://app.example.com/admin')
})

test('A20: random header sets without credentials never pass on a protected path', async () => {
  const seen = new Set<number>()
  const property = fc.asyncProperty(request, async ({ forwarded, headers }) => {
    const set = Object.fromEntries(headers.filter(([each]) => !WRITTEN_BY_TRAEFIK.test(each)))
    for (const { check } of [party.vestibule, lenient()]) {
      const { status, setCookies } = await check(forwarded, set)
      seen.add(status)
      expect(status < 200 || status >= 300, `${status} for a stranger`).toBe(true)
      expect(status).toBeLessThan(500)
      expect(setCookies.filter((line) => !line.includes('Max-Age=0'))).toEqual([])
    }
  })
  await fc.assert(property, { numRuns: 400 })
  expect([...seen]).toEqual(expect.arrayContaining([302, 400, 401]))
})

/** Names that some proxy, framework or peer of ours has ever listened to, and names of our own. */
const NAMES = words`
  Accept Accept-Encoding Authorization Connection Content-Type Cookie DPoP Forwarded Front-End-Https
  If-Modified-Since If-None-Match Max-Forwards Origin Proxy-Authorization Purpose Range Referer
  Remote-User Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-Purpose
  Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version Service-Worker TE Upgrade
  User-Agent Via Access-Control-Request-Headers Access-Control-Request-Method X-Auth-Request-User
  X-Auth-Request-Groups X-Auth-Request-Email X-Auth-Request-Access-Token X_Auth_Request_User
  X-Forwarded-User X-Forwarded-Prefix X-Forwarded-Port X_Forwarded_Uri X.Forwarded.Host
  X-Original-URL X-Rewrite-URL X-HTTP-Method-Override X-Middleware-Subrequest X-Moz X-Requested-With
  X-Request-Id X-Skip-Auth X-Internal X-Debug X-Api-Key traceparent tracestate baggage
`
const NAME_CHARACTERS = { unit: fc.constantFrom(...'aZ09-_.!~+'), minLength: 1, maxLength: 20 }
const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 1, arbitrary: fc.string(NAME_CHARACTERS) },
)

const VALUES = [
  ...words`
    text/event-stream text/html application/json application/grpc application/grpc-web+proto */*
    websocket navigate cors no-cors same-origin document empty iframe prefetch prerender
    XMLHttpRequest GET OPTIONS https://app.example.com https://evil.example null /public/a
    Bearer\x20eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9. Basic\x20YWRtaW46YWRtaW4= kube-probe/1.30
    GoogleHC/1.0 __Host-vestibule=1 __Host-vestibule=v1.a.b;\x20__Host-vestibule=v1.c.d alice admins
    127.0.0.1 true 1 0 13 bytes=0-0 * "etag" close Upgrade
  `,
  `__Host-vestibule=v1.${'A'.repeat(43)}.${'A'.repeat(43)}`,
  '',
]
const printable = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, '')
const value = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...VALUES) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 40 }).map(printable) },
)

const request = fc.record({
  forwarded: fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE', 'QUERY'),
    uri: fc.constantFrom(
      ...words`
        / /admin /admin?x=/public/a /public-admin /public//admin /healthz /oauth2/me
      `,
    ),
    proto: fc.constantFrom('https', 'https', 'wss'),
    host: fc.constantFrom('app.example.com', 'other.example.com'),
  }),
  headers: fc.array(fc.tuple(name, value), { maxLength: 12 }),
})

/** Headers that Traefik itself writes, so that no client can send them past it (A04). */
const WRITTEN_BY_TRAEFIK =
  /^x-forwarded-(?:method|proto|host|uri|for)$|^(?:content-length|transfer-encoding|expect|host)$/i
