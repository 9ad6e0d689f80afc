import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp } from '../../../stand-ins/app.ts'
import { proxyKinds, proxyMissing, startProxy } from '../../../stand-ins/proxy/proxies.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { authResponseHeaders } from '../../../stand-ins/vestibule.ts'
import { startTestProvider } from '../../support/provider.ts'
import { writeRules } from '../../support/rules-file.ts'
import { startVestibule } from '../../support/vestibule.ts'
import { createVisitor, type Visit, type Visitor } from '../../support/visitor.ts'

interface Case {
  readonly title: string
  readonly as: 'nobody' | 'alice' | 'bob'
  readonly ask: (visitor: Visitor, origin: string) => Promise<Visit>
  readonly status: number
  /** Asserts more about the answer. */
  readonly also?: (visit: Visit, origin: string) => void
}

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

/** The same answers from every proxy. */
const CASES: readonly Case[] = [
  {
    title: 'a page sends a stranger to sign in and back to the same address',
    as: 'nobody',
    ask: (visitor, origin) => visitor.get(`${origin}/reports?year=2026&q=a%20b`),
    status: 302,
    also: (visit, origin) =>
      expect(visit.location).toBe(origin + loginFor(`${origin}/reports?year=2026&q=a%20b`)),
  },
  {
    title: 'a form sends a stranger to sign in with 303',
    as: 'nobody',
    ask: (visitor, origin) => visitor.post(`${origin}/echo`, { a: '1' }),
    status: 303,
    also: (visit, origin) => expect(visit.location).toBe(origin + loginFor(`${origin}/`)),
  },
  {
    title: 'a script is told where to sign in, and nothing is started',
    as: 'nobody',
    ask: (visitor, origin) => visitor.fetch(`${origin}/headers`),
    status: 401,
    also: (visit, origin) => {
      expect(JSON.parse(visit.body)).toMatchObject({
        error: 'login_required',
        login_url: origin + loginFor(`${origin}/`),
      })
      expect(visit.headers['www-authenticate']).toBeTruthy()
      expect(visit.setCookies).toEqual([])
    },
  },
  {
    title: 'an event stream is no way round',
    as: 'nobody',
    ask: (visitor, origin) =>
      visitor.fetch(`${origin}/events`, { headers: { Accept: 'text/event-stream' } }),
    status: 401,
  },
  {
    title: 'a preflight is no way round',
    as: 'nobody',
    ask: (visitor, origin) =>
      visitor.fetch(`${origin}/headers`, {
        method: 'OPTIONS',
        headers: { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'DELETE' },
      }),
    status: 401,
  },
  {
    title: 'a WebSocket of a stranger is refused',
    as: 'nobody',
    ask: (visitor, origin) =>
      visitor.get(`${origin}/ws`, { headers: { ...handshake, Origin: origin } }),
    status: 401,
  },
  {
    title: 'a WebSocket from another site is refused although somebody is signed in',
    as: 'alice',
    ask: (visitor, origin) =>
      visitor.get(`${origin}/ws`, { headers: { ...handshake, Origin: 'https://evil.example' } }),
    status: 403,
  },
  {
    title: 'a public page needs nobody, and no header of a client makes somebody',
    as: 'nobody',
    ask: (visitor, origin) =>
      visitor.get(`${origin}/public/headers`, {
        headers: { ...JSON_OF_APP, 'X-Auth-Request-User': 'root' },
      }),
    status: 200,
    also: (visit) => expect(visit.body).not.toContain('root'),
  },
  {
    title: 'the app is told who is there, whatever a client says',
    as: 'alice',
    ask: (visitor, origin) =>
      visitor.get(`${origin}/headers`, {
        headers: {
          ...JSON_OF_APP,
          'X-Auth-Request-User': 'root',
          'X-Auth-Request-Groups': 'wheel',
        },
      }),
    status: 200,
    also: (visit) => {
      expect(visit.body).toContain('["X-Auth-Request-Groups","staff,admins"]')
      expect(visit.body).not.toMatch(/root|wheel/)
    },
  },
  {
    title: 'a page for some is refused to others with a page that says who they are',
    as: 'bob',
    ask: (visitor, origin) => visitor.get(`${origin}/admin`),
    status: 403,
    also: (visit) => expect(visit.body).toContain('bob@example.com'),
  },
  {
    title: 'a script that may not is told so in JSON',
    as: 'bob',
    ask: (visitor, origin) => visitor.fetch(`${origin}/admin/x`),
    status: 403,
    also: (visit) => expect(JSON.parse(visit.body)).toMatchObject({ error: 'forbidden' }),
  },
  {
    title: 'a page for some is shown to them',
    as: 'alice',
    ask: (visitor, origin) => visitor.get(`${origin}/admin`),
    status: 200,
  },
  {
    title: 'HEAD is answered like GET',
    as: 'nobody',
    ask: (visitor, origin) => visitor.request('HEAD', `${origin}/reports`),
    status: 302,
  },
  {
    title: 'two different sessions in one request are removed',
    as: 'nobody',
    ask: (visitor, origin) =>
      visitor.get(`${origin}/`, { headers: { Cookie: 'vestibule=v1.a.b; vestibule=v1.c.d' } }),
    status: 400,
    also: (visit) => expect(visit.setCookies.join()).toMatch(/^vestibule=; Max-Age=0/),
  },
  {
    title: 'a forwarded host of the client changes nothing',
    as: 'nobody',
    ask: (visitor, origin) =>
      visitor.get(`${origin}/`, { headers: { 'X-Forwarded-Host': 'evil.example' } }),
    status: 302,
    also: (visit) => expect(visit.location).not.toContain('evil'),
  },
]

describe.for(proxyKinds)('an app behind %s', (kind) => {
  const missing = proxyMissing(kind)
  const stack = new AsyncDisposableStack()
  const visitors = new Map<Case['as'], Visitor>()
  let origin = ''

  beforeAll(async () => {
    if (missing) return
    const port = await steadyPort()
    origin = `http://localhost:${port}`
    const provider = stack.use(await startTestProvider({ origins: [origin] }))
    const rules = stack.use(
      await writeRules([
        { paths: ['/public/**'], access: 'public' },
        { paths: ['/admin/**'], access: 'signed-in', groups: ['admins'] },
      ]),
    )
    const vestibule = stack.use(
      await startVestibule({
        PROTECTED_HOSTS: origin,
        OIDC_ISSUER_URL: provider.issuer,
        OIDC_CLIENT_ID: provider.clientId,
        OIDC_CLIENT_SECRET: provider.clientSecret,
        VESTIBULE_CONFIG: rules.path,
      }),
    )
    const app = stack.use(await startApp())
    stack.use(
      await startProxy(kind, {
        port,
        hosts: ['localhost'],
        vestibulePublicUrl: `http://127.0.0.1:${vestibule.publicPort}`,
        vestibuleCheckUrl: `http://127.0.0.1:${vestibule.internalPort}/auth`,
        appUrl: app.url,
        authResponseHeaders,
      }),
    )
    visitors.set('nobody', createVisitor())
    for (const person of ['alice', 'bob'] as const) {
      const visitor = createVisitor()
      await visitor.signIn(`${origin}/`, person)
      visitors.set(person, visitor)
    }
  })
  afterAll(() => stack.disposeAsync())

  const asOf = (person: Case['as']): Visitor => {
    const visitor = visitors.get(person)
    if (!visitor) throw new Error(`${person} has not come`)
    return visitor.copy()
  }

  test.for(CASES)('$title', async ({ as, ask, status, also }, { expect, skip }) => {
    if (missing) skip(missing)
    const visit = await ask(asOf(as), origin)
    expect(visit.status, visit.body).toBe(status)
    if (status !== 200) expect(visit.headers['cache-control']).toContain('no-store')
    also?.(visit, origin)
  })

  test('the app keeps its cookies and never sees ours', async ({ expect, skip }) => {
    if (missing) skip(missing)
    if (kind === 'caddy')
      skip('Caddy 2.6 cannot take a header over only where the check answers it')
    const visitor = asOf('alice')
    await visitor.get(`${origin}/set-cookie?name=theme&value=dark`)
    const visit = await visitor.get(`${origin}/headers`, { headers: JSON_OF_APP })
    expect(visit.sentCookie).toContain('vestibule=v1.')
    expect(visit.body).toContain('theme=dark')
    expect(visit.body).not.toContain('v1.')
  })

  test('a session that has been signed out lets nobody in, a copied cookie included', async ({
    expect,
    skip,
  }) => {
    if (missing) skip(missing)
    const visitor = createVisitor()
    await visitor.signIn(`${origin}/`, 'alice')
    const copy = visitor.copy()
    const signedOut = await visitor.post(`${origin}/oauth2/logout`)
    expect(signedOut.status).toBe(303)
    expect(signedOut.location).toContain('/session/end?')
    for (const each of [visitor, copy]) {
      expect((await each.get(`${origin}/reports`)).status).toBe(302)
    }
  })
})
