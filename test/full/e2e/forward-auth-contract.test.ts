import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type ScriptedAnswer,
  type ScriptedServer,
  type SeenRequest,
  startScriptedServer,
  valuesOf,
} from '../../../stand-ins/network/scripted-server.ts'
import { type ProxyOptions, proxyMissing, startProxy } from '../../../stand-ins/proxy/proxies.ts'
import type { RunningProxy } from '../../../stand-ins/proxy/proxy.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { raw } from '../../support/visitor.ts'

const kinds = ['stand-in', 'traefik'] as const
type Kind = (typeof kinds)[number]

interface Outcome {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly check: SeenRequest | undefined
  readonly app: SeenRequest | undefined
  readonly signIn: SeenRequest | undefined
}

interface Case {
  readonly title: string
  readonly method?: string
  readonly target?: string
  readonly host?: string
  readonly headers?: readonly string[]
  readonly body?: string
  readonly auth?: ScriptedAnswer
  readonly app?: ScriptedAnswer
  /** Why only real Traefik is asked. */
  readonly notForStandIn?: string
  readonly expect: (outcome: Outcome) => void
}

const webSocketHeaders = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

const forgedForwarding = [
  'X-Forwarded-For: 203.0.113.9',
  'X-Forwarded-Host: evil.test',
  'X-Forwarded-Method: OPTIONS',
  'X-Forwarded-Port: 1',
  'X-Forwarded-Prefix: /evil',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Server: evil',
  'X-Forwarded-Uri: /public',
  'x-forwarded-uri: /public-too',
  'X_Forwarded_Uri: /public',
  'X-Real-Ip: 203.0.113.9',
]

const cases: readonly Case[] = [
  {
    title: 'T1 the check is a GET without body, and says which method it is about',
    method: 'POST',
    target: '/orders',
    headers: ['Content-Type: text/plain', 'Content-Length: 5'],
    body: 'hello',
    expect: ({ status, check, app }) => {
      expect(status).toBe(200)
      expect(check).toMatchObject({ method: 'GET', url: '/auth', body: '' })
      expect(valuesOf(check, 'X-Forwarded-Method')).toEqual(['POST'])
      expect(valuesOf(check, 'Content-Length')).toEqual([])
      expect(valuesOf(check, 'Content-Type')).toEqual(['text/plain'])
      expect(app).toMatchObject({ method: 'POST', url: '/orders', body: 'hello' })
    },
  },
  {
    title: 'T1 a chunked body reaches the app only',
    method: 'PUT',
    headers: ['Transfer-Encoding: chunked'],
    body: '5\r\nhello\r\n0\r\n\r\n',
    expect: ({ check, app }) => {
      expect(check?.body).toBe('')
      expect(valuesOf(check, 'Transfer-Encoding')).toEqual([])
      expect(app?.body).toBe('hello')
    },
  },
  {
    title: 'T1 a POST without a body stays one',
    method: 'POST',
    expect: ({ app }) => {
      expect(app).toMatchObject({ method: 'POST', body: '' })
      expect(valuesOf(app, 'Content-Length')).toEqual(['0'])
    },
  },
  {
    title: 'T2 hop-by-hop headers are not part of the check',
    headers: ['Connection: close, X-Hop', 'X-Hop: 1', 'Keep-Alive: 1', 'TE: trailers'],
    expect: ({ check, app }) => {
      for (const name of ['X-Hop', 'Keep-Alive', 'TE', 'Upgrade']) {
        expect(valuesOf(check, name)).toEqual([])
      }
      expect(valuesOf(app, 'X-Hop')).toEqual([])
    },
  },
  {
    title: 'T2 Connection cannot take forwarded headers away',
    headers: ['Connection: close, X-Forwarded-Host, X-Forwarded-Proto, Cookie', 'Cookie: a=1'],
    expect: ({ check }) => {
      expect(valuesOf(check, 'X-Forwarded-Host')).toEqual(['app.test'])
      expect(valuesOf(check, 'X-Forwarded-Proto')).toEqual(['http'])
      expect(valuesOf(check, 'Cookie')).toEqual([])
    },
  },
  {
    title: 'T2 Proxy-Authorization reaches the check and not the app',
    headers: ['Proxy-Authorization: Basic eA=='],
    expect: ({ check, app }) => {
      expect(valuesOf(check, 'Proxy-Authorization')).toEqual(['Basic eA=='])
      expect(valuesOf(app, 'Proxy-Authorization')).toEqual([])
    },
  },
  {
    title: 'T3 listed headers of the answer replace those of the client, all values',
    headers: ['X-Auth-Request-User: forged', 'x-auth-request-groups: forged'],
    auth: {
      headers: [
        'X-Auth-Request-User',
        'alice',
        'X-Auth-Request-Groups',
        'staff',
        'X-Auth-Request-Groups',
        'admins',
      ],
    },
    expect: ({ app }) => {
      expect(valuesOf(app, 'X-Auth-Request-User')).toEqual(['alice'])
      expect(valuesOf(app, 'X-Auth-Request-Groups').join()).toMatch(
        /^staff, ?admins$|^staff,admins$/,
      )
    },
  },
  {
    title: 'T3 listed headers that are not answered are deleted',
    headers: ['X-Auth-Request-User: forged', 'X-AUTH-REQUEST-GROUPS: forged'],
    expect: ({ app }) => {
      expect(valuesOf(app, 'X-Auth-Request-User')).toEqual([])
      expect(valuesOf(app, 'X-Auth-Request-Groups')).toEqual([])
    },
  },
  {
    title: 'T3 a listed header answered empty reaches the app empty',
    headers: ['X-Auth-Request-User: forged'],
    auth: { headers: ['X-Auth-Request-User', ''] },
    expect: ({ app }) => expect(valuesOf(app, 'X-Auth-Request-User')).toEqual(['']),
  },
  {
    title: 'T3 UTF-8 in a listed header arrives byte for byte',
    auth: { headers: ['X-Auth-Request-User', Buffer.from('Zoë 🦊').toString('latin1')] },
    expect: ({ app }) =>
      expect(Buffer.from(valuesOf(app, 'X-Auth-Request-User')[0] ?? '', 'latin1').toString()).toBe(
        'Zoë 🦊',
      ),
  },
  {
    title: 'T4 unlisted headers pass from the client, and none from the answer',
    headers: ['X-Auth-Request-Email: forged', 'Authorization: Basic eA==', 'Cookie: a=1; b=2'],
    auth: {
      headers: ['X-Auth-Request-Email', 'true@example.com', 'X-Other', '1'],
      body: 'ignored',
    },
    app: { body: 'from the app' },
    expect: ({ app, body }) => {
      expect(valuesOf(app, 'X-Auth-Request-Email')).toEqual(['forged'])
      expect(valuesOf(app, 'Authorization')).toEqual(['Basic eA=='])
      expect(valuesOf(app, 'Cookie')).toEqual(['a=1; b=2'])
      expect(valuesOf(app, 'X-Other')).toEqual([])
      expect(body).toBe('from the app')
    },
  },
  {
    title: 'T5 underscore spellings of listed headers pass to the check and to the app',
    headers: ['X_Auth_Request_User: forged'],
    expect: ({ check, app }) => {
      expect(valuesOf(check, 'X_Auth_Request_User')).toEqual(['forged'])
      expect(valuesOf(app, 'X_Auth_Request_User')).toEqual(['forged'])
    },
  },
  {
    title: 'T6 a listed auth cookie reaches the browser instead of the app’s, and others do not',
    auth: { headers: ['Set-Cookie', 'outage=1; Path=/; HttpOnly', 'Set-Cookie', 'unlisted=1'] },
    app: { headers: ['Set-Cookie', 'outage=app', 'Set-Cookie', 'app=1; Path=/; SameSite=Lax'] },
    expect: ({ headers }) =>
      expect(setCookies(headers)).toEqual([
        'app=1; Path=/; SameSite=Lax',
        'outage=1; Path=/; HttpOnly',
      ]),
  },
  {
    title: 'T6 with any auth cookie the app’s cookies lose what Go does not know',
    auth: { headers: ['Set-Cookie', 'unlisted=1'] },
    app: {
      headers: ['Set-Cookie', 'app=1; Priority=High; Secure; Path=/', 'Set-Cookie', 'broken'],
    },
    expect: ({ headers }) => expect(setCookies(headers)).toEqual(['app=1; Path=/; Secure']),
  },
  {
    title: 'T6 without auth cookies the app’s cookies pass as they are',
    app: { headers: ['Set-Cookie', 'outage=app; Priority=High', 'Set-Cookie', 'broken'] },
    expect: ({ headers }) =>
      expect(setCookies(headers)).toEqual(['outage=app; Priority=High', 'broken']),
  },
  {
    title: 'T6 an auth cookie is lost on a WebSocket handshake',
    headers: webSocketHeaders,
    auth: { headers: ['Set-Cookie', 'outage=1'] },
    expect: ({ status, headers }) => {
      expect(status).toBe(101)
      expect(setCookies(headers)).toEqual([])
    },
  },
  {
    title: 'T7 a redirect passes as it is: Location, every cookie, headers, body',
    auth: {
      status: 302,
      headers: [
        'Location',
        'http://app.test/oauth2/login?rd=http%3A%2F%2Fapp.test%2F%3Fa%3D1%26b',
        'Set-Cookie',
        'a=1; Priority=High',
        'Set-Cookie',
        'b=2',
        'Cache-Control',
        'no-store',
        'X-Other',
        '1',
      ],
      body: 'see there',
    },
    expect: ({ status, headers, body, app }) => {
      expect(status).toBe(302)
      expect(valueOf(headers, 'Location')).toBe(
        'http://app.test/oauth2/login?rd=http%3A%2F%2Fapp.test%2F%3Fa%3D1%26b',
      )
      expect(setCookies(headers)).toEqual(['a=1; Priority=High', 'b=2'])
      expect(valueOf(headers, 'Cache-Control')).toBe('no-store')
      expect(valueOf(headers, 'X-Other')).toBe('1')
      expect(body).toBe('see there')
      expect(app).toBeUndefined()
    },
  },
  {
    title: 'T7 a relative Location points into the inner network, so there must be none',
    auth: { status: 302, headers: ['Location', '/oauth2/login'] },
    expect: ({ headers }) =>
      expect(valueOf(headers, 'Location')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/oauth2\/login$/),
  },
  ...[
    { status: 401, header: ['WWW-Authenticate', 'Bearer'] },
    { status: 403, header: ['Content-Type', 'text/html; charset=utf-8'] },
    { status: 400, header: ['Cache-Control', 'no-store'] },
    { status: 503, header: ['Retry-After', '5'] },
  ].map(({ status, header }) => ({
    title: `T7 ${status} passes with its headers and body`,
    auth: { status, headers: header, body: '<p>no</p>' },
    expect: (outcome: Outcome) => {
      expect(outcome.status).toBe(status)
      expect(valueOf(outcome.headers, header[0] ?? '')).toBe(header[1])
      expect(outcome.body).toBe('<p>no</p>')
      expect(outcome.app).toBeUndefined()
    },
  })),
  {
    title: 'T7 a denied HEAD has no body',
    method: 'HEAD',
    auth: { status: 403, body: 'no' },
    expect: ({ status, body, check }) => {
      expect(status).toBe(403)
      expect(body).toBe('')
      expect(check?.method).toBe('GET')
      expect(valuesOf(check, 'X-Forwarded-Method')).toEqual(['HEAD'])
    },
  },
  {
    title: 'T7 a denied POST is answered though its body was not read',
    method: 'POST',
    headers: ['Content-Length: 5'],
    body: 'hello',
    auth: { status: 401 },
    expect: ({ status, app }) => {
      expect(status).toBe(401)
      expect(app).toBeUndefined()
    },
  },
  {
    title: 'T10 what clients say about forwarding is overwritten, underscore spellings deleted',
    target: '/private?x=1',
    headers: forgedForwarding,
    expect: ({ check, app }) => {
      expect(valuesOf(check, 'X-Forwarded-For')).toEqual(['127.0.0.1'])
      expect(valuesOf(check, 'X-Forwarded-Host')).toEqual(['app.test'])
      expect(valuesOf(check, 'X-Forwarded-Method')).toEqual(['GET'])
      expect(valuesOf(check, 'X-Forwarded-Port')).toEqual(['80'])
      expect(valuesOf(check, 'X-Forwarded-Prefix')).toEqual([])
      expect(valuesOf(check, 'X-Forwarded-Proto')).toEqual(['http'])
      expect(valuesOf(check, 'X-Forwarded-Uri')).toEqual(['/private?x=1'])
      expect(valuesOf(check, 'X_Forwarded_Uri')).toEqual([])
      expect(valuesOf(check, 'X-Real-Ip')).toEqual(['127.0.0.1'])
      expect(valuesOf(app, 'X-Forwarded-For')).toEqual(['127.0.0.1'])
      expect(valuesOf(app, 'X-Forwarded-Uri')).toEqual([])
      expect(valuesOf(app, 'X-Forwarded-Method')).toEqual([])
    },
  },
  {
    title: 'T10 Forwarded and X-Original-URL pass untouched',
    headers: ['Forwarded: host=evil.test', 'X-Original-URL: /public', 'X-Rewrite-Url: /public'],
    expect: ({ check }) => {
      expect(valuesOf(check, 'Forwarded')).toEqual(['host=evil.test'])
      expect(valuesOf(check, 'X-Original-Url')).toEqual(['/public'])
      expect(valuesOf(check, 'X-Rewrite-Url')).toEqual(['/public'])
    },
  },
  {
    title: 'T10 the port in Host becomes X-Forwarded-Port and stays in X-Forwarded-Host',
    host: 'APP.test:8443',
    expect: ({ check, app }) => {
      expect(valuesOf(check, 'X-Forwarded-Host')).toEqual(['APP.test:8443'])
      expect(valuesOf(check, 'X-Forwarded-Port')).toEqual(['8443'])
      expect(valuesOf(app, 'Host')).toEqual(['APP.test:8443'])
    },
  },
  {
    title: 'T10 doubled client headers reach the check doubled',
    headers: ['Cookie: a=1', 'Cookie: b=2', 'Accept: text/html', 'Accept: */*'],
    expect: ({ check }) => {
      expect(valuesOf(check, 'Cookie')).toEqual(['a=1', 'b=2'])
      expect(valuesOf(check, 'Accept')).toEqual(['text/html', '*/*'])
    },
  },
  ...[
    ['/search?q=a+b%20c&x=%2F&empty=', '/search?q=a+b%20c&x=%2F&empty='],
    ['/semi;v=1?a=1;b=2', '/semi;v=1?a=1&b=2'],
    ['/slash%2fin%2Fside', '/slash%2Fin%2Fside'],
    ['/caf%c3%a9/%41%7E', '/caf%C3%A9/A~'],
    ['/a/./b/../c//d/', '/a/c/d/'],
    ['/a/%2e%2e/%2E%2e/b', '/b'],
    ['/../../up', '/up'],
    ['//evil.test/path', '/evil.test/path'],
    ['/back\\slash', '/back%5Cslash'],
    ['/quote"<>{}|^`', '/quote%22%3C%3E%7B%7D%7C%5E%60'],
    ["/sub!$&'()*+,;=:@[x]", "/sub!$&'()*+,;=:@[x]"],
    ['/mixed(%20"', '/mixed%28%20%22'],
    ['/null%00', '/null%00'],
    ['*', '*'],
    ['/percent%2525', '/percent%2525'],
    ['/trailing?', '/trailing?'],
    ['/two??marks?', '/two??marks?'],
    ['/query?"<>\\^`{|}', '/query?"<>\\^`{|}'],
    ['http://app.test/absolute/../form?x', '/form?x'],
  ].map(([target = '', uri = '']) => ({
    title: `T10 ${JSON.stringify(target)} is checked as ${JSON.stringify(uri)} and so asked of the app`,
    target,
    expect: ({ status, check, app }: Outcome) => {
      expect(status).toBe(200)
      expect(valuesOf(check, 'X-Forwarded-Uri')).toEqual([uri])
      expect(app?.url).toBe(uri)
    },
  })),
  ...['/bad%zz', '/bad%', '/frag#ment'].map((target) => ({
    title: `T10 ${JSON.stringify(target)} is refused before the check`,
    target,
    expect: ({ status, check }: Outcome) => {
      expect([400, 404]).toContain(status)
      expect(check).toBeUndefined()
    },
  })),
  {
    title: 'T10 bytes above ASCII are escaped in the path and stay as they are in the query',
    target: '/raw-\xc3\xa9?raw-\xc3\xa9',
    notForStandIn: 'node:http refuses such a target',
    expect: ({ check }) =>
      expect(valuesOf(check, 'X-Forwarded-Uri')).toEqual(['/raw-%C3%A9?raw-\xc3\xa9']),
  },
  {
    title: 'T10 an absolute target wins over Host',
    target: 'http://app.test/x',
    host: 'other.test',
    expect: ({ check }) => expect(valuesOf(check, 'X-Forwarded-Host')).toEqual(['app.test']),
  },
  {
    title: 'T2 a WebSocket handshake is checked as ws without Upgrade, then tunnelled',
    target: '/socket?x=1',
    headers: webSocketHeaders,
    auth: { headers: ['X-Auth-Request-User', 'alice'] },
    expect: ({ status, body, check, app }) => {
      expect(status).toBe(101)
      expect(body).toBe('from the app')
      expect(valuesOf(check, 'X-Forwarded-Proto')).toEqual(['ws'])
      expect(valuesOf(check, 'X-Forwarded-Uri')).toEqual(['/socket?x=1'])
      expect(valuesOf(check, 'Upgrade')).toEqual([])
      expect(valuesOf(check, 'Sec-WebSocket-Key')).toEqual(['dGhlIHNhbXBsZSBub25jZQ=='])
      expect(valuesOf(app, 'Upgrade')).toEqual(['websocket'])
      expect(valuesOf(app, 'X-Auth-Request-User')).toEqual(['alice'])
    },
  },
  {
    title: 'T7 a denied WebSocket handshake gets the answer and does not reach the app',
    headers: webSocketHeaders,
    auth: { status: 401, headers: ['Content-Type', 'application/json'], body: '{}' },
    expect: ({ status, body, app }) => {
      expect(status).toBe(401)
      expect(body).toBe('{}')
      expect(app).toBeUndefined()
    },
  },
  {
    title: 'the sign-in router is not checked and gets the query as it is',
    target: '/oauth2/login?rd=%2F',
    expect: ({ check, signIn, app }) => {
      expect(check).toBeUndefined()
      expect(app).toBeUndefined()
      expect(signIn?.url).toBe('/oauth2/login?rd=%2F')
      expect(valuesOf(signIn, 'Host')).toEqual(['app.test'])
    },
  },
  ...['/oauth2%2flogin', '/OAUTH2/login', '/oauth2x'].map((target) => ({
    title: `${target} is not the sign-in router and is checked`,
    target,
    expect: ({ check, signIn }: Outcome) => {
      expect(check).toBeDefined()
      expect(signIn).toBeUndefined()
    },
  })),
  {
    title: 'a host without a router is 404 and not checked',
    host: 'other.test',
    expect: ({ status, check }) => {
      expect(status).toBe(404)
      expect(check).toBeUndefined()
    },
  },
  {
    title: 'what the app answers passes unchanged',
    auth: { headers: ['X-Auth-Request-User', 'alice'] },
    app: { status: 418, headers: ['X-App', '1', 'X-App', '2'], body: 'tea' },
    expect: ({ status, headers, body }) => {
      expect(status).toBe(418)
      expect(headers.filter(([name]) => name === 'x-app')).toHaveLength(2)
      expect(body).toBe('tea')
    },
  },
]

interface Stage extends AsyncDisposable {
  readonly run: (kind: Kind, example: Case) => Promise<Outcome>
}

/** Three scripted servers (check, sign-in, app) behind each proxy that is here. */
async function setStage(
  wanted: readonly Kind[],
  options: Partial<ProxyOptions> = {},
): Promise<Stage> {
  const stack = new AsyncDisposableStack()
  const check = stack.use(await startScriptedServer())
  const signIn = stack.use(await startScriptedServer())
  const app = stack.use(await startScriptedServer())
  const proxies = new Map<Kind, RunningProxy>()
  for (const kind of wanted.filter((each) => !proxyMissing(each))) {
    const proxy = await startProxy(kind, {
      hosts: ['app.test'],
      vestibulePublicUrl: signIn.url,
      vestibuleCheckUrl: `${check.url}/auth`,
      appUrl: app.url,
      authResponseHeaders: ['X-Auth-Request-User', 'X-Auth-Request-Groups'],
      addAuthCookies: ['outage'],
      ...options,
    })
    proxies.set(kind, stack.use(proxy))
  }
  return {
    run: async (kind, example) => {
      check.script(example.auth)
      app.script(example.app)
      signIn.script()
      const proxy = proxies.get(kind)
      if (!proxy) throw new Error(`no ${kind}`)
      const { port } = new URL(proxy.origin)
      const answer = parseAnswer(await raw(Number(port), bytesOf(example), QUIET_MS))
      return { ...answer, check: only(check), app: only(app), signIn: only(signIn) }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** All but tunnels end by themselves; a program that pauses for a moment has not said everything. */
const QUIET_MS = 1000

function only({ seen }: ScriptedServer): SeenRequest | undefined {
  expect(seen.length).toBeLessThanOrEqual(1)
  return seen[0]
}

function bytesOf({ method = 'GET', target = '/', host = 'app.test', headers = [], body }: Case) {
  const says = headers.some((header) => header.startsWith('Connection:'))
  return [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    'User-Agent: contract',
    // Without it Go asks for gzip by itself, and unpacks it again.
    'Accept-Encoding: identity',
    ...headers,
    ...(says ? [] : ['Connection: close']),
    '',
    body ?? '',
  ].join('\r\n')
}

function parseAnswer(text: string): Pick<Outcome, 'status' | 'headers' | 'body'> {
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  const body = text.slice(end + 4)
  const isChunked = valueOf(headers, 'Transfer-Encoding') === 'chunked'
  const status = Number(statusLine.split(' ')[1])
  return { status, headers, body: isChunked ? dechunk(body) : body }
}

function dechunk(body: string): string {
  const size = Number.parseInt(body, 16)
  if (!size) return ''
  const start = body.indexOf('\r\n') + 2
  return body.slice(start, start + size) + dechunk(body.slice(start + size + 2))
}

function valueOf(headers: Outcome['headers'], name: string): string | undefined {
  return headers.find(([header]) => header === name.toLowerCase())?.[1]
}

function setCookies(headers: Outcome['headers']): readonly string[] {
  return headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)
}

/** Headers that belong to one connection, or change with the clock. */
const PER_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date']

function comparable(outcome: Outcome) {
  return {
    ...outcome,
    headers: sorted(outcome.headers),
    check: outcome.check && { ...outcome.check, headers: sorted(outcome.check.headers) },
    app: outcome.app && { ...outcome.app, headers: sorted(outcome.app.headers) },
    signIn: outcome.signIn && { ...outcome.signIn, headers: sorted(outcome.signIn.headers) },
  }
}

function sorted(headers: Outcome['headers']): readonly string[] {
  return headers
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .filter((line) => !PER_CONNECTION.some((name) => line.startsWith(`${name}:`)))
    .toSorted()
}

let stage: Stage
beforeAll(async () => {
  stage = await setStage(kinds)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

describe.for(kinds)('the forwardAuth contract as %s keeps it', (kind) => {
  beforeEach((context) => {
    const missing = proxyMissing(kind)
    if (missing) context.skip(missing)
  })

  test.for(cases)('$title', async (example, context) => {
    if (kind === 'stand-in' && example.notForStandIn) context.skip(example.notForStandIn)
    example.expect(await stage.run(kind, example))
  })

  test.for([
    {
      title: 'T5 with underscoreHeadersStrategy delete nobody sees them',
      options: { underscoreHeadersStrategy: 'delete' },
      example: { headers: ['X_Auth_Request_User: forged'] },
      status: 200,
      seenByCheck: true,
    },
    {
      title: 'T5 with underscoreHeadersStrategy reject the client gets 400',
      options: { underscoreHeadersStrategy: 'reject' },
      example: { headers: ['X_Auth_Request_User: forged'] },
      status: 400,
      seenByCheck: false,
    },
    {
      title: 'T8 an answer above maxResponseBodySize is 401, also on 2xx',
      options: { forwardAuth: { maxResponseBodySize: 10 } },
      example: { auth: { body: '12345678901' } },
      status: 401,
      seenByCheck: true,
    },
    {
      title: 'T9 authSigninURL turns 401 into a fixed redirect without our headers',
      options: { forwardAuth: { authSigninURL: 'http://app.test/oauth2/login' } },
      example: { auth: { status: 401, headers: ['Set-Cookie', 'a=1'], body: 'no' } },
      status: 302,
      seenByCheck: true,
    },
    {
      title: 'T9 authSigninURL leaves other answers alone',
      options: { forwardAuth: { authSigninURL: 'http://app.test/oauth2/login' } },
      example: { auth: { status: 403, body: 'no' } },
      status: 403,
      seenByCheck: true,
    },
  ] as const)('$title', async ({ title, options, example, status, seenByCheck }) => {
    await using other = await setStage([kind], options)
    const outcome = await other.run(kind, { title, ...example, expect: () => undefined })
    expect(outcome.status).toBe(status)
    expect(outcome.check !== undefined).toBe(seenByCheck)
    expect(valuesOf(outcome.check, 'X_Auth_Request_User')).toEqual([])
    expect(setCookies(outcome.headers)).toEqual([])
    if (status === 302) expect(valueOf(outcome.headers, 'Location')).toMatch(/\/oauth2\/login$/)
  })

  test.for([
    { part: 'vestibuleCheckUrl', status: 500, body: '', meaning: 'T8 an unreachable check is 500' },
    { part: 'appUrl', status: 502, body: 'Bad Gateway', meaning: 'an unreachable app is 502' },
  ])('$meaning', async ({ part, status, body, meaning }) => {
    await using other = await setStage([kind], {
      [part]: `http://127.0.0.1:${await steadyPort()}/`,
    })
    const outcome = await other.run(kind, { title: meaning, expect: () => undefined })
    expect(outcome).toMatchObject({ status, body, app: undefined })
  })
})

describe('stand-in and Traefik', () => {
  beforeEach((context) => {
    const missing = proxyMissing('traefik')
    if (missing) context.skip(missing)
  })

  test.for(cases)('do the same, header for header: $title', async (example, context) => {
    if (example.notForStandIn) context.skip(example.notForStandIn)
    const standIn = comparable(await stage.run('stand-in', example))
    const traefik = comparable(await stage.run('traefik', example))
    expect(standIn).toEqual(traefik)
  })
})

describe('Caddy', () => {
  beforeEach((context) => {
    const missing = proxyMissing('caddy')
    if (missing) context.skip(missing)
  })

  test('keeps the part of the contract that its forward_auth shares', async () => {
    await using check = await startScriptedServer()
    await using app = await startScriptedServer()
    await using caddy = await startProxy('caddy', {
      hosts: ['app.test'],
      vestibulePublicUrl: check.url,
      vestibuleCheckUrl: `${check.url}/auth`,
      appUrl: app.url,
      authResponseHeaders: ['X-Auth-Request-User', 'X-Auth-Request-Groups'],
    })
    const port = Number(new URL(caddy.origin).port)
    const headers = ['X-Auth-Request-User: forged', 'X-Auth-Request-Groups: forged']
    const example = { title: '', method: 'POST', target: '/a?b=1', expect: () => undefined }
    const ask = async () =>
      parseAnswer(
        await raw(
          port,
          bytesOf({
            ...example,
            host: `app.test:${port}`,
            headers: [...headers, ...forgedForwarding],
          }),
        ),
      )

    check.script({ headers: ['X-Auth-Request-User', 'alice', 'X-Auth-Request-Groups', ''] })
    expect(await ask()).toMatchObject({ status: 200 })
    // Caddy 2.6 hands the check the query of the original request.
    expect(check.seen[0]?.url).toMatch(/^\/auth(\?|$)/)
    expect(check.seen[0]).toMatchObject({ method: 'GET', body: '' })
    expect(valuesOf(check.seen[0], 'X-Forwarded-Method')).toEqual(['POST'])
    expect(valuesOf(check.seen[0], 'X-Forwarded-Uri')).toEqual(['/a?b=1'])
    expect(valuesOf(check.seen[0], 'X-Forwarded-Host')).toEqual([`app.test:${port}`])
    expect(valuesOf(app.seen[0], 'X-Auth-Request-User')).toEqual(['alice'])
    expect(valuesOf(app.seen[0], 'X-Auth-Request-Groups').join('')).toBe('')

    app.script()
    check.script({
      status: 302,
      headers: ['Location', 'http://app.test/login', 'Set-Cookie', 'a=1'],
    })
    const denied = await ask()
    expect(denied.status).toBe(302)
    expect(valueOf(denied.headers, 'Location')).toBe('http://app.test/login')
    expect(setCookies(denied.headers)).toEqual(['a=1'])
    expect(app.seen).toEqual([])
  })
})
