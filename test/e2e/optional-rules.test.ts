import { describe, expect, test } from 'vitest'
import { readMetric } from '../support/outage.ts'
import { prepared } from '../support/prepared.ts'
import { useRuledParty } from '../support/ruled-party.ts'
import { SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { asScript } from '../support/used-party.ts'
import type { Forwarded } from '../support/vestibule.ts'
import type { VisitHeaders } from '../support/visitor.ts'

const party = useRuledParty({
  rules: [
    { paths: ['/public/**'], access: 'public' },
    { paths: ['/guests/**'], access: 'optional' },
    { access: 'signed-in' },
  ],
})
const member = prepared(() => party.vestibule.signIn('member'))

const STRANGE = `${SESSION_COOKIE}=v1.${'a'.repeat(43)}.${'b'.repeat(43)}`
const FORGED = {
  'X-Auth-Request-User': 'root',
  'X-Auth-Request-Groups': 'admins',
  'X-Auth-Request-Email': 'root@example.com',
}
const PREFLIGHT = { Origin: 'https://app.example.com', 'Access-Control-Request-Method': 'PUT' }

async function ask(forwarded: Forwarded, headers: VisitHeaders = {}) {
  const visit = await party.check({ uri: '/guests/a', ...forwarded }, headers)
  return { ...visit, identity: identityOf(visit.headers) }
}

function identityOf(headers: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith('x-auth-request-')),
  )
}

describe('an optional rule', () => {
  test.for<[who: string, headers: () => VisitHeaders, forwarded: Forwarded]>([
    ['nobody', () => ({}), {}],
    ['nobody’s script', () => asScript, {}],
    ['nobody’s form', () => ({}), { method: 'POST' }],
    ['a session that is unknown', () => ({ Cookie: STRANGE }), {}],
    ['a cookie that is none', () => ({ Cookie: `${SESSION_COOKIE}=v0.a` }), {}],
    ['two different cookies', () => ({ Cookie: `${member()}; ${STRANGE}` }), {}],
    ['a preflight', () => ({ Cookie: member(), ...PREFLIGHT }), { method: 'OPTIONS' }],
    ['a token, which is the app’s', () => ({ Authorization: 'Bearer a.b.c' }), {}],
  ])('lets pass without an identity: %s', async ([, headers, forwarded]) => {
    const open = await party.check({ uri: '/public/a' })
    for (const forged of [{}, FORGED]) {
      const visit = await ask(forwarded, { ...headers(), ...forged })
      expect([visit.status, visit.setCookies, visit.body]).toEqual([200, [], ''])
      // All identity headers are there, because Traefik removes what a client sent only for those.
      expect(visit.identity).toEqual(identityOf(open.headers))
      expect(Object.values(visit.identity).join('')).toBe('')
    }
  })

  test.for<[how: string, headers: VisitHeaders, forwarded: Forwarded]>([
    ['page', {}, {}],
    ['script', asScript, {}],
    ['form', {}, { method: 'POST' }],
    ['WebSocket', { 'Sec-WebSocket-Key': 'a', Origin: 'https://app.example.com' }, {}],
    ['forged identity', FORGED, {}],
  ])('lets pass with the identity of a session: %s', async ([, headers, forwarded]) => {
    const { status, identity } = await ask(forwarded, { Cookie: member(), ...headers })
    expect(status).toBe(200)
    expect(identity).toMatchObject({
      'x-auth-request-user': 'member',
      'x-auth-request-groups': 'staff',
    })
  })

  test('is none for a WebSocket of another origin, and for a path with several readings', async () => {
    const handshake = { 'Sec-WebSocket-Key': 'a', Origin: 'https://evil.test' }
    expect((await ask({}, { Cookie: member(), ...handshake })).status).toBe(403)
    expect((await ask({}, handshake)).status).toBe(403)
    expect((await ask({ uri: '/guests%2Fa' })).status).toBe(302)
  })

  test('knows nobody any more after the sign-out', async () => {
    const browser = party.visitor()
    await browser.signIn('https://app.example.com/oauth2/login?rd=/oauth2/me', 'guest')
    const cookie = browser.cookies.header(new URL('https://app.example.com/'))
    expect((await ask({}, { Cookie: cookie })).identity['x-auth-request-user']).toBe('guest')
    await browser.post(
      'https://app.example.com/oauth2/logout',
      {},
      {
        headers: { 'Sec-Fetch-Site': 'same-origin' },
      },
    )
    expect((await ask({}, { Cookie: cookie })).identity['x-auth-request-user']).toBe('')
  })

  test('counts as allowed, by the source of the session', async () => {
    const counted = (source: string) =>
      readMetric(party.vestibule, `vestibule_checks_total{outcome="allow",source="${source}"}`)
    const before = [await counted('memory'), await counted('none')]
    await ask({}, { Cookie: member() })
    await ask({})
    expect([await counted('memory'), await counted('none')]).toEqual(
      before.map((count) => count + 1),
    )
  })
})
