import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { VisitHeaders } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty({ PUBLIC_PATHS: '/public/**' })
const lenient = prepared(() =>
  startVestibule({ PUBLIC_PATHS: '/public/**', ALIAS_HEADERS: 'ignore' }),
)
const cookie = prepared(() => party.vestibule.signIn('alice'))

const bare: VisitHeaders = Object.fromEntries(
  words`
    Accept Sec-Fetch-Mode Sec-Fetch-Dest Sec-Fetch-Site Sec-Fetch-User User-Agent
    Upgrade-Insecure-Requests
  `.map((name) => [name, undefined]),
)

const notNavigations: readonly VisitHeaders[] = [
  { ...bare, Accept: 'text/event-stream' },
  { ...bare, Accept: 'text/event-stream, */*' },
  { ...bare, Accept: 'application/json' },
  { ...bare, Accept: '' },
  bare,
  { ...bare, Connection: 'Upgrade', Upgrade: 'h2c' },
  { ...bare, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' },
  { ...bare, 'Sec-WebSocket-Key': 'a', Accept: 'text/html' },
  { 'Sec-Fetch-Mode': 'websocket' },
  { ...bare, Accept: 'text/html', 'X-Requested-With': 'XMLHttpRequest' },
  { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
  { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
  { 'Sec-Fetch-Mode': 'same-origin' },
  { 'Sec-Fetch-Dest': 'iframe' },
  { 'Sec-Fetch-Dest': 'serviceworker' },
  { Purpose: 'prefetch' },
  { 'Sec-Purpose': 'prefetch;prerender' },
  { ...bare, Accept: 'text/html', 'Content-Type': 'application/grpc-web+proto' },
  { ...bare, Authorization: 'Bearer x' },
  { ...bare, Authorization: 'Basic YWRtaW46YWRtaW4=' },
]

describe('A20 a header that silently switches the check off', () => {
  test.for(notNavigations)('%j changes the form, never the decision', async (headers) => {
    expectRefusal(await party.check({ uri: '/admin' }, headers), 401)
    expectRefusal(await party.check({ uri: '/admin', method: 'OPTIONS' }, headers), 401)
    const signedIn = await party.check({ uri: '/admin' }, { ...headers, Cookie: cookie() })
    expect(signedIn).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
    expect((await party.check({ uri: '/public/a' }, headers)).status).toBe(200)
  })

  test('a bare request for text/html is a navigation', async () => {
    const headers = { ...bare, Accept: 'text/html' }
    const visit = await party.check({ uri: '/admin' }, headers)
    expectLogin(visit, 'https://app.example.com/admin')
  })

  test('random header sets without credentials never pass on a protected path', async () => {
    const seen = new Set<number>()
    const property = fc.asyncProperty(request, async ({ forwarded, headers }) => {
      const set = toHeaders(headers)
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
    Bearer\x20eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9. Basic\x20YWRtaW46YWRtaW4=
    kube-probe/1.30 GoogleHC/1.0 __Host-vestibule=1
    __Host-vestibule=v1.a.b;\x20__Host-vestibule=v1.c.d alice admins 127.0.0.1 true 1 0 13
    bytes=0-0 * "etag" close Upgrade
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

function toHeaders(pairs: readonly (readonly [string, string])[]): VisitHeaders {
  return Object.fromEntries(pairs.filter(([each]) => !WRITTEN_BY_TRAEFIK.test(each)))
}
