import { beforeEach, describe, expect, test } from 'vitest'
import { proxyKinds, proxyMissing } from '../../../stand-ins/proxy/proxies.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { prepared } from '../../support/prepared.ts'
import { startProxies } from '../../support/protected-app.ts'
import { startRelyingParty } from '../../support/relying-party.ts'
import { createVisitor, type Visit, type Visitor } from '../../support/visitor.ts'

type Case = readonly [
  title: string,
  as: 'nobody' | 'alice',
  status: number,
  ask: (visitor: Visitor, origin: string) => Promise<Visit>,
  /** Asserts more about the answer. */
  also?: (visit: Visit, origin: string) => void,
]

const JSON_OF_APP = { Accept: 'application/json' }
const handshake = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-Fetch-Mode': 'websocket',
  'Sec-Fetch-Dest': 'empty',
}
function loginFor(target: string) {
  return `/oauth2/login?${new URLSearchParams({ rd: target })}`
}

function socket(visitor: Visitor, origin: string, Origin = origin): Promise<Visit> {
  return visitor.get(`${origin}/ws`, { headers: { ...handshake, Origin } })
}

const EVIL = 'https://evil.example'
const FORGED = { 'X-Auth-Request-User': 'root', 'X-Auth-Request-Groups': 'wheel' }

/** The same answers from every proxy. */
const CASES: readonly Case[] = [
  [
    'a page sends a stranger to sign in and back to the same address',
    'nobody',
    302,
    (visitor, origin) => visitor.get(`${origin}/reports?year=2026&q=a%20b`),
    ({ location }, origin) =>
      expect(location).toBe(origin + loginFor(`${origin}/reports?year=2026&q=a%20b`)),
  ],
  [
    'a form sends a stranger to sign in with 303',
    'nobody',
    303,
    (visitor, origin) => visitor.post(`${origin}/echo`, { a: '1' }),
    ({ location }, origin) => expect(location).toBe(origin + loginFor(`${origin}/`)),
  ],
  [
    'a script is told where to sign in, and nothing is started',
    'nobody',
    401,
    (visitor, origin) => visitor.fetch(`${origin}/headers`),
    ({ body, headers, setCookies }, origin) => {
      const login_url = origin + loginFor(`${origin}/`)
      expect(JSON.parse(body)).toMatchObject({ error: 'login_required', login_url })
      expect(headers['www-authenticate']).toBeTruthy()
      expect(setCookies).toEqual([])
    },
  ],
  ['a WebSocket of a stranger is refused', 'nobody', 401, socket],
  [
    'a WebSocket from another site is refused although somebody is signed in',
    'alice',
    403,
    (visitor, origin) => socket(visitor, origin, EVIL),
  ],
  [
    'a public page needs nobody, and no header of a client makes somebody',
    'nobody',
    200,
    (visitor, origin) =>
      visitor.get(`${origin}/public/headers`, { headers: { ...JSON_OF_APP, ...FORGED } }),
    ({ body }) => expect(body).not.toMatch(/root|wheel/),
  ],
  [
    'the app is told who is there, whatever a client says',
    'alice',
    200,
    (visitor, origin) =>
      visitor.get(`${origin}/headers`, { headers: { ...JSON_OF_APP, ...FORGED } }),
    ({ body }) => {
      expect(body).toContain('["X-Auth-Request-Groups","staff,admins"]')
      expect(body).not.toMatch(/root|wheel/)
    },
  ],
]

describe.for(proxyKinds)('an app behind %s', (kind) => {
  const missing = proxyMissing(kind)
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  const started = prepared(async () => {
    await using stack = new AsyncDisposableStack()
    const port = await steadyPort()
    const origin = `http://localhost:${port}`
    const settings = { PROTECTED_HOSTS: origin, PUBLIC_PATHS: '/public/**' }
    const party = stack.use(await startRelyingParty(settings, { origins: [origin] }))
    stack.use(await startProxies([kind], party.vestibule, () => ({ port, hosts: ['localhost'] })))
    const alice = createVisitor()
    if (!missing) await alice.signIn(`${origin}/`, 'alice')
    const kept = stack.move()
    return { origin, alice, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  })

  test.for(CASES)('%s', async ([, as, status, ask, also]) => {
    const { origin, alice } = started()
    const visit = await ask(as === 'alice' ? alice.copy() : createVisitor(), origin)
    expect(visit.status, visit.body).toBe(status)
    if (status !== 200) expect(visit.headers['cache-control']).toContain('no-store')
    also?.(visit, origin)
  })
})
