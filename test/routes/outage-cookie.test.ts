import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { classify, type RequestClass } from '../../src/core/request-class.ts'
import type { Session } from '../../src/core/session.ts'
import { createSite } from '../../src/core/site.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createCookies } from '../../src/http/cookies.ts'
import { createOutageCookie } from '../../src/routes/check/outage-cookie.ts'
import { createOutageAssertions } from '../../src/session/outage-assertion.ts'
import { sessionDigest } from '../../src/session/records.ts'
import type { PresentedSession } from '../../src/session/session-cache.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'
import { sentHeaders } from '../support/raw-request.ts'
import { identity, REALM, STARTED_AT } from '../support/started-sessions.ts'
import { words } from '../support/words.ts'

const GRACE_MS = 300_000
const NAME = '__Host-vestibule_outage'
const site = createSite('https', REALM, '')
const cookie = { credential: { id: 'i'.repeat(43), secret: 's'.repeat(43) }, realm: REALM }
const held: PresentedSession = { ...cookie, digest: sessionDigest(cookie.credential) }
const session: Session = { identity, createdAt: STARTED_AT, expiresAt: STARTED_AT + 86_400_000 }

type Headers = Readonly<Record<string, string>>

useMonotonicClock()

const start = (graceMs = GRACE_MS) => {
  let nowMs = STARTED_AT
  const ring = createKeyRing([randomBytes(32)])
  const assertions = createOutageAssertions({ ring, graceMs, now: () => nowMs })
  const cookies = createCookies({
    name: 'vestibule',
    domain: undefined,
    sameSite: 'lax',
    sessionMaxAgeSeconds: 86_400,
    outageGraceSeconds: graceMs / 1000,
  })
  const renew = createOutageCookie({ cookies, assertions, graceMs })
  return {
    assertions,
    /** Returns what a request gets whose session was confirmed just now. */
    ask: (
      headers: Headers,
      asked: { method?: string; asClass?: RequestClass; of?: Session } = {},
    ): string | undefined => {
      const { method = 'GET', asClass, of = session } = asked
      const opened = { session: of, digest: held.digest, confirmedAtMs: performance.now() }
      const sent = sentHeaders(headers)
      const requestClass = asClass ?? classify(sent, method)
      const cut = cookies.cut(sent.cookie, site)
      const checked = { headers: sent, cookies: cut, requestClass, request: { method, site } }
      return renew(checked, { found: opened, cookie })
    },
    elapse: (ms: number) => {
      nowMs += ms
    },
  }
}
const valueOf = (cookie: string | undefined) =>
  /^__Host-vestibule_outage=([^;]+);/.exec(cookie ?? '')?.[1] ?? ''
const PAGE = { Accept: 'text/html' }

describe('who is given an outage cookie', () => {
  const fetched = (destination: string, mode = 'cors') => ({
    'Sec-Fetch-Dest': destination,
    'Sec-Fetch-Mode': mode,
  })
  const assets = words`
    image script style font manifest audio video track object embed worker serviceworker report
    something-new
  `.map((each) => [`an asset (${each})`, 'GET', fetched(each, 'no-cors'), false] as const)
  const handshake = { 'Sec-WebSocket-Key': 'x', 'Sec-WebSocket-Version': '13' }
  const preflight = { Origin: 'https://a.example.com', 'Access-Control-Request-Method': 'GET' }
  test.for<readonly [string, string, Headers, boolean]>([
    ['a page', 'GET', PAGE, true],
    ['a page by its mode', 'GET', fetched('document', 'navigate'), true],
    ['a fetch', 'GET', fetched('empty'), true],
    ['a fetch of the same origin', 'GET', fetched('empty', 'same-origin'), true],
    ['XMLHttpRequest of an old browser', 'GET', { 'X-Requested-With': 'XMLHttpRequest' }, true],
    ['a page in a frame', 'GET', fetched('iframe', 'navigate'), true],
    ['a page in an old frame', 'GET', fetched('frame', 'navigate'), true],
    ...assets,
    ['an asset of an old browser', 'GET', { Accept: 'image/*' }, false],
    ['a program', 'GET', {}, false],
    ['a WebSocket', 'GET', handshake, false],
    ['a WebSocket by its mode', 'GET', fetched('websocket', 'websocket'), false],
    ['a prefetch', 'GET', { ...PAGE, 'Sec-Purpose': 'prefetch;prerender' }, false],
    ['an old prefetch', 'GET', { ...PAGE, Purpose: 'prefetch' }, false],
    ['a form', 'POST', PAGE, false],
    ['a fetch that writes', 'POST', fetched('empty'), false],
    ['a fetch that deletes', 'DELETE', fetched('empty'), false],
    ['HEAD for a page', 'HEAD', PAGE, false],
    ['a preflight', 'OPTIONS', preflight, false],
  ])('%s by %s with %o: %s', ([, method, headers, isGiven]) => {
    const { ask, assertions } = start()
    const cookie = ask(headers, { method })
    expect(cookie !== undefined).toBe(isGiven)
    if (isGiven) expect(assertions.open(valueOf(cookie), held)).toEqual(session)
  })

  test('the class of the request counts, whatever its other headers say', () => {
    const { ask } = start()
    for (const asClass of ['preflight', 'websocket', 'prefetch', 'form-navigation'] as const) {
      expect(ask(PAGE, { asClass }), asClass).toBeUndefined()
    }
    expect(ask({}, { asClass: 'navigation' })).toBeDefined()
  })

  test('without a grace nobody is', () => {
    const { ask } = start(0)
    expect([ask(PAGE), ask({ 'Sec-Fetch-Dest': 'empty' })]).toEqual([undefined, undefined])
  })

  test('somebody whose identity does not fit into one is not', () => {
    const { ask } = start()
    const large = { ...session, identity: { ...identity, claims: { dept: 'x'.repeat(5000) } } }
    expect(ask(PAGE, { of: large })).toBeUndefined()
    expect(ask(PAGE)).toBeDefined()
  })
})

describe('the outage cookie that a browser has', () => {
  const presenting = (...values: readonly string[]) => ({
    ...PAGE,
    Cookie: values.map((value) => `${NAME}=${value}`).join('; '),
  })

  test('is left for a fifth of the grace, and renewed after that', () => {
    const { ask, assertions, elapse } = start()
    const first = valueOf(ask(PAGE))
    expect(ask(presenting(first))).toBeUndefined()
    elapse(59_999)
    expect(ask(presenting(first))).toBeUndefined()
    elapse(1)
    const second = valueOf(ask(presenting(first)))
    expect(second).not.toBe(first)
    expect(ask(presenting(second))).toBeUndefined()
    elapse(GRACE_MS - 60_000)
    expect(assertions.open(first, held)).toBeUndefined()
    expect(assertions.open(second, held)).toEqual(session)
  })

  test.for([
    ['noise', ['noise']],
    ['an empty one', ['']],
    ['another version', ['v2.s44we8.AAAA']],
    ['one of the year 2100', ['v1.zzzzzz.AAAA']],
    ['one from long ago', ['v1.1.AAAA']],
    ['two of them', ['v1.s44we8.AAAA', 'v1.s44we8.BBBB']],
  ] as const)('is replaced when it is none: %s', ([, values]) => {
    const { ask, assertions } = start()
    expect(assertions.open(valueOf(ask(presenting(...values))), held)).toEqual(session)
  })
})
