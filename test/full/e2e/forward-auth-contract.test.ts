import { beforeEach, describe, expect, test } from 'vitest'
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
import { prepared } from '../../support/prepared.ts'
import { raw } from '../../support/visitor.ts'
import { words } from '../../support/words.ts'

const stageKinds = ['stand-in', 'traefik'] as const
type Kind = (typeof stageKinds)[number]

/** A request of a client, and what the check and the app answer to it. */
interface ProxiedRequest {
  readonly method?: string
  readonly target?: string
  readonly host?: string
  readonly headers?: readonly string[]
  readonly body?: string
  readonly auth?: ScriptedAnswer
  readonly app?: ScriptedAnswer
}

/** The client's answer, and the request that each server behind the proxy has seen. */
type Outcome = Awaited<ReturnType<Awaited<ReturnType<typeof setStage>>['run']>>
type Headers = readonly (readonly [name: string, value: string])[]

/** Starts three scripted servers (check, sign-in, app) behind each of these proxies that is on PATH. */
async function setStage(wanted: readonly Kind[], options: Partial<ProxyOptions> = {}) {
  await using stack = new AsyncDisposableStack()
  const check = stack.use(await startScriptedServer())
  const signIn = stack.use(await startScriptedServer())
  const app = stack.use(await startScriptedServer())
  const proxies = new Map<Kind, RunningProxy>()
  for (const kind of wanted.filter((each) => !proxyMissing(each))) {
    const common = { ...proxied(signIn.url, check.url, app.url), addAuthCookies: ['outage'] }
    proxies.set(kind, stack.use(await startProxy(kind, { ...common, ...options })))
  }
  const resources = stack.move()
  return {
    run: async (kind: Kind, request: ProxiedRequest) => {
      check.script(request.auth)
      app.script(request.app)
      signIn.script()
      const proxy = proxies.get(kind)
      if (!proxy) throw new Error(`no ${kind}`)
      const answer = await sendThrough(proxy.origin, request)
      return { ...answer, check: only(check), app: only(app), signIn: only(signIn) }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Options of a proxy before these servers at http://app.test. */
function proxied(signInUrl: string, checkUrl: string, appUrl: string): ProxyOptions {
  return {
    hosts: ['app.test'],
    vestibulePublicUrl: signInUrl,
    vestibuleCheckUrl: `${checkUrl}/auth`,
    appUrl,
    authResponseHeaders: ['X-Auth-Request-User', 'X-Auth-Request-Groups'],
  }
}

function only({ seen }: ScriptedServer): SeenRequest | undefined {
  expect(seen.length).toBeLessThanOrEqual(1)
  return seen[0]
}

/** Silence after which an answer counts as whole; only tunnels do not end by themselves. */
const QUIET_MS = 1000

async function sendThrough(origin: string, request: ProxiedRequest) {
  return parseAnswer(await raw(Number(new URL(origin).port), bytesOf(request), QUIET_MS))
}

function bytesOf(request: ProxiedRequest): string {
  const { method = 'GET', target = '/', host = 'app.test', headers = [], body = '' } = request
  const closes = headers.some((header) => header.startsWith('Connection:'))
  return [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    'User-Agent: contract',
    // Without it Go asks for gzip by itself, and unpacks it again.
    'Accept-Encoding: identity',
    ...headers,
    ...(closes ? [] : ['Connection: close']),
    '',
    body,
  ].join('\r\n')
}

function parseAnswer(text: string) {
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

function valueOf(headers: Headers, name: string): string | undefined {
  return headers.find(([header]) => header === name.toLowerCase())?.[1]
}

function setCookies(headers: Headers): readonly string[] {
  return headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)
}

/** Headers that belong to one connection, or change with the clock. */
const PER_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date']

/** The outcome without what may differ between two proxies that do the same. */
function comparable(outcome: Outcome) {
  const part = (request: SeenRequest | undefined) =>
    request && { ...request, headers: sorted(request.headers) }
  const { headers, check, app, signIn } = outcome
  return {
    ...outcome,
    headers: sorted(headers),
    check: part(check),
    app: part(app),
    signIn: part(signIn),
  }
}

function sorted(headers: Headers): readonly string[] {
  return headers
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .filter((line) => !PER_CONNECTION.some((name) => line.startsWith(`${name}:`)))
    .toSorted()
}

/** A header that is there once, several times, or not at all. */
type Values = string | readonly string[]
/** Method, url, body and headers of a request that a server has seen; `null` means that none came. */
type Seen = Readonly<Record<string, Values>> | null

/** The part of an outcome that matters in a case. */
interface Wanted {
  readonly status?: number
  readonly body?: string
  readonly cookies?: readonly string[]
  readonly answer?: Readonly<Record<string, unknown>>
  readonly check?: Seen
  readonly app?: Seen
  readonly signIn?: Seen
}

/** Only real Traefik is asked a request with `notForStandIn`, its reason. */
type Case = readonly [
  request: ProxiedRequest & { readonly notForStandIn?: string },
  want: Wanted,
  also?: (outcome: Outcome) => void,
]
type Cases = Readonly<Record<string, Case>>

function tabled<Row>(rows: readonly Row[], make: (row: Row) => readonly [string, Case]): Cases {
  return Object.fromEntries(rows.map(make))
}

function seenAs(request: SeenRequest | undefined, wanted: Seen): unknown {
  if (wanted === null || request === undefined) return request ?? null
  const found = (name: string): Values => {
    if (name === 'method' || name === 'url' || name === 'body') return request[name]
    const values = valuesOf(request, name)
    return values.length === 1 ? String(values[0]) : values
  }
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, found(name)]))
}

function expectOutcome(
  outcome: Outcome,
  { check, app, signIn, answer = {}, cookies, ...rest }: Wanted,
) {
  for (const [name, wanted] of Object.entries({ check, app, signIn })) {
    if (wanted === undefined) continue
    expect([name, seenAs(outcome[name as 'check' | 'app' | 'signIn'], wanted)]).toEqual([
      name,
      wanted,
    ])
  }
  const answered = Object.keys(answer).map((name) => [name, valueOf(outcome.headers, name)])
  expect(Object.fromEntries(answered)).toEqual(answer)
  if (cookies) expect(setCookies(outcome.headers)).toEqual(cookies)
  expect(outcome).toMatchObject(rest)
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
const USER = 'X-Auth-Request-User'
const GROUPS = 'X-Auth-Request-Groups'
const LOGIN = 'http://app.test/oauth2/login?rd=http%3A%2F%2Fapp.test%2F%3Fa%3D1%26b'

const bodies: Cases = {
  'T1 the check is a GET without body that names the method': [
    {
      method: 'POST',
      target: '/orders',
      headers: ['Content-Type: text/plain', 'Content-Length: 5'],
      body: 'hello',
    },
    {
      status: 200,
      check: {
        method: 'GET',
        url: '/auth',
        body: '',
        'X-Forwarded-Method': 'POST',
        'Content-Length': [],
        'Content-Type': 'text/plain',
      },
      app: { method: 'POST', url: '/orders', body: 'hello' },
    },
  ],
  'T1 a chunked body reaches the app only': [
    { method: 'PUT', headers: ['Transfer-Encoding: chunked'], body: '5\r\nhello\r\n0\r\n\r\n' },
    { check: { body: '', 'Transfer-Encoding': [] }, app: { body: 'hello' } },
  ],
  'T1 a POST without a body stays one': [
    { method: 'POST' },
    { app: { method: 'POST', body: '', 'Content-Length': '0' } },
  ],
  'T2 hop-by-hop headers are not part of the check': [
    { headers: ['Connection: close, X-Hop', 'X-Hop: 1', 'Keep-Alive: 1', 'TE: trailers'] },
    { check: { 'X-Hop': [], 'Keep-Alive': [], TE: [], Upgrade: [] }, app: { 'X-Hop': [] } },
  ],
  'T2 Connection cannot take forwarded headers away': [
    { headers: ['Connection: close, X-Forwarded-Host, X-Forwarded-Proto, Cookie', 'Cookie: a=1'] },
    { check: { 'X-Forwarded-Host': 'app.test', 'X-Forwarded-Proto': 'http', Cookie: [] } },
  ],
  'T2 Proxy-Authorization reaches the check and not the app': [
    { headers: ['Proxy-Authorization: Basic eA=='] },
    { check: { 'Proxy-Authorization': 'Basic eA==' }, app: { 'Proxy-Authorization': [] } },
  ],
}

const listed: Cases = {
  'T3 listed headers of the answer replace those of the client, all values': [
    {
      headers: [`${USER}: forged`, 'x-auth-request-groups: forged'],
      auth: { headers: [USER, 'alice', GROUPS, 'staff', GROUPS, 'admins'] },
    },
    { app: { [USER]: 'alice' } },
    ({ app }) => expect(valuesOf(app, GROUPS).join()).toMatch(/^staff, ?admins$/),
  ],
  'T3 listed headers that are not answered are deleted': [
    { headers: [`${USER}: forged`, 'X-AUTH-REQUEST-GROUPS: forged'] },
    { app: { [USER]: [], [GROUPS]: [] } },
  ],
  'T3 a listed header answered empty reaches the app empty': [
    { headers: [`${USER}: forged`], auth: { headers: [USER, ''] } },
    { app: { [USER]: '' } },
  ],
  'T3 UTF-8 in a listed header arrives byte for byte': [
    { auth: { headers: [USER, Buffer.from('Zoë 🦊').toString('latin1')] } },
    { app: { [USER]: Buffer.from('Zoë 🦊').toString('latin1') } },
  ],
  'T4 unlisted headers pass from the client, and none from the answer': [
    {
      headers: ['X-Auth-Request-Email: forged', 'Authorization: Basic eA==', 'Cookie: a=1; b=2'],
      auth: {
        headers: ['X-Auth-Request-Email', 'true@example.com', 'X-Other', '1'],
        body: 'ignored',
      },
      app: { body: 'from the app' },
    },
    {
      body: 'from the app',
      app: {
        'X-Auth-Request-Email': 'forged',
        Authorization: 'Basic eA==',
        Cookie: 'a=1; b=2',
        'X-Other': [],
      },
    },
  ],
  'T5 underscore spellings of listed headers pass to the check and to the app': [
    { headers: ['X_Auth_Request_User: forged'] },
    { check: { X_Auth_Request_User: 'forged' }, app: { X_Auth_Request_User: 'forged' } },
  ],
}

const cookies: Cases = {
  'T6 a listed auth cookie replaces the app’s, and unlisted ones do not arrive': [
    {
      auth: { headers: ['Set-Cookie', 'outage=1; Path=/; HttpOnly', 'Set-Cookie', 'unlisted=1'] },
      app: { headers: ['Set-Cookie', 'outage=app', 'Set-Cookie', 'app=1; Path=/; SameSite=Lax'] },
    },
    { cookies: ['app=1; Path=/; SameSite=Lax', 'outage=1; Path=/; HttpOnly'] },
  ],
  'T6 beside any auth cookie the app’s cookies lose attributes that Go does not know': [
    {
      auth: { headers: ['Set-Cookie', 'unlisted=1'] },
      app: {
        headers: ['Set-Cookie', 'app=1; Priority=High; Secure; Path=/', 'Set-Cookie', 'broken'],
      },
    },
    { cookies: ['app=1; Path=/; Secure'] },
  ],
  'T6 without auth cookies the app’s cookies pass unchanged': [
    { app: { headers: ['Set-Cookie', 'outage=app; Priority=High', 'Set-Cookie', 'broken'] } },
    { cookies: ['outage=app; Priority=High', 'broken'] },
  ],
  'T6 an auth cookie is lost on a WebSocket handshake': [
    { headers: webSocketHeaders, auth: { headers: ['Set-Cookie', 'outage=1'] } },
    { status: 101, cookies: [] },
  ],
}

const denials: Cases = {
  'T7 a redirect passes unchanged: Location, every cookie, headers, body': [
    {
      auth: {
        status: 302,
        headers: [
          'Location',
          LOGIN,
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
    },
    {
      status: 302,
      answer: { Location: LOGIN, 'Cache-Control': 'no-store', 'X-Other': '1' },
      cookies: ['a=1; Priority=High', 'b=2'],
      body: 'see there',
      app: null,
    },
  ],
  'T7 a relative Location is resolved against the inner network, so there must be none': [
    { auth: { status: 302, headers: ['Location', '/oauth2/login'] } },
    { answer: { Location: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/oauth2\/login$/) } },
  ],
  ...tabled(
    [
      [401, 'WWW-Authenticate', 'Bearer'],
      [403, 'Content-Type', 'text/html; charset=utf-8'],
      [400, 'Cache-Control', 'no-store'],
      [503, 'Retry-After', '5'],
    ] as const,
    ([status, name, value]) => [
      `T7 ${status} passes with its headers and body`,
      [
        { auth: { status, headers: [name, value], body: '<p>no</p>' } },
        { status, answer: { [name]: value }, body: '<p>no</p>', app: null },
      ],
    ],
  ),
  'T7 a denied HEAD has no body': [
    { method: 'HEAD', auth: { status: 403, body: 'no' } },
    { status: 403, body: '', check: { method: 'GET', 'X-Forwarded-Method': 'HEAD' } },
  ],
  'T7 a denied POST is answered although its body was not read': [
    { method: 'POST', headers: ['Content-Length: 5'], body: 'hello', auth: { status: 401 } },
    { status: 401, app: null },
  ],
}

const forwarding: Cases = {
  'T10 forwarding headers of clients are overwritten, and underscore spellings deleted': [
    { target: '/private?x=1', headers: forgedForwarding },
    {
      check: {
        'X-Forwarded-For': '127.0.0.1',
        'X-Forwarded-Host': 'app.test',
        'X-Forwarded-Method': 'GET',
        'X-Forwarded-Port': '80',
        'X-Forwarded-Prefix': [],
        'X-Forwarded-Proto': 'http',
        'X-Forwarded-Uri': '/private?x=1',
        X_Forwarded_Uri: [],
        'X-Real-Ip': '127.0.0.1',
      },
      app: { 'X-Forwarded-For': '127.0.0.1', 'X-Forwarded-Uri': [], 'X-Forwarded-Method': [] },
    },
  ],
  'T10 Forwarded and X-Original-URL pass unchanged': [
    { headers: ['Forwarded: host=evil.test', 'X-Original-URL: /public', 'X-Rewrite-Url: /public'] },
    {
      check: {
        Forwarded: 'host=evil.test',
        'X-Original-Url': '/public',
        'X-Rewrite-Url': '/public',
      },
    },
  ],
  'T10 the port in Host becomes X-Forwarded-Port and stays in X-Forwarded-Host': [
    { host: 'APP.test:8443' },
    {
      check: { 'X-Forwarded-Host': 'APP.test:8443', 'X-Forwarded-Port': '8443' },
      app: { Host: 'APP.test:8443' },
    },
  ],
  'T10 doubled client headers reach the check doubled': [
    { headers: ['Cookie: a=1', 'Cookie: b=2', 'Accept: text/html', 'Accept: */*'] },
    { check: { Cookie: ['a=1', 'b=2'], Accept: ['text/html', '*/*'] } },
  ],
  ...tabled(
    [
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
    ] as const,
    ([target, uri]) => [
      `T10 ${JSON.stringify(target)} is checked, and sent to the app, as ${JSON.stringify(uri)}`,
      [{ target }, { status: 200, check: { 'X-Forwarded-Uri': uri }, app: { url: uri } }],
    ],
  ),
  ...tabled(words`/bad%zz /bad% /frag#ment`, (target) => [
    `T10 ${JSON.stringify(target)} is refused before the check`,
    [{ target }, { check: null }, ({ status }) => expect([400, 404]).toContain(status)],
  ]),
  'T10 bytes above ASCII are escaped in the path and unchanged in the query': [
    { target: '/raw-\xc3\xa9?raw-\xc3\xa9', notForStandIn: 'node:http refuses such a target' },
    { check: { 'X-Forwarded-Uri': '/raw-%C3%A9?raw-\xc3\xa9' } },
  ],
  'T10 an absolute target wins over Host': [
    { target: 'http://app.test/x', host: 'other.test' },
    { check: { 'X-Forwarded-Host': 'app.test' } },
  ],
}

const routing: Cases = {
  'T2 a WebSocket handshake is checked as ws without Upgrade, then tunnelled': [
    { target: '/socket?x=1', headers: webSocketHeaders, auth: { headers: [USER, 'alice'] } },
    {
      status: 101,
      body: 'from the app',
      check: {
        'X-Forwarded-Proto': 'ws',
        'X-Forwarded-Uri': '/socket?x=1',
        Upgrade: [],
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
      app: { Upgrade: 'websocket', [USER]: 'alice' },
    },
  ],
  'T7 a denied WebSocket handshake gets the answer and does not reach the app': [
    {
      headers: webSocketHeaders,
      auth: { status: 401, headers: ['Content-Type', 'application/json'], body: '{}' },
    },
    { status: 401, body: '{}', app: null },
  ],
  'a request to the sign-in router is not checked and keeps its query': [
    { target: '/oauth2/login?rd=%2F' },
    { check: null, app: null, signIn: { url: '/oauth2/login?rd=%2F', Host: 'app.test' } },
  ],
  ...tabled(words`/oauth2%2flogin /OAUTH2/login /oauth2x`, (target) => [
    `${target} does not match the sign-in router and is checked`,
    [{ target }, { check: {}, signIn: null }],
  ]),
  'a host without a router is 404 and not checked': [
    { host: 'other.test' },
    { status: 404, check: null },
  ],
  'an answer of the app passes unchanged': [
    {
      auth: { headers: [USER, 'alice'] },
      app: { status: 418, headers: ['X-App', '1', 'X-App', '2'], body: 'tea' },
    },
    { status: 418, body: 'tea' },
    ({ headers }) => expect(headers.filter(([name]) => name === 'x-app')).toHaveLength(2),
  ],
}

const cases = Object.entries({
  ...bodies,
  ...listed,
  ...cookies,
  ...denials,
  ...forwarding,
  ...routing,
})
const FORGED = { headers: ['X_Auth_Request_User: forged'] }
const authSigninURL = 'http://app.test/oauth2/login'

describe.for(stageKinds)('the forwardAuth contract as %s keeps it', (kind) => {
  const missing = proxyMissing(kind)
  const stage = prepared(() => setStage([kind]))
  beforeEach((context) => {
    if (missing) context.skip(missing)
  })

  test.for(cases)('%s', async ([, [request, want, also]], context) => {
    if (kind === 'stand-in' && request.notForStandIn) context.skip(request.notForStandIn)
    const outcome = await stage().run(kind, request)
    expectOutcome(outcome, want)
    also?.(outcome)
  })

  const expectWith = async (
    options: Parameters<typeof setStage>[1],
    request: ProxiedRequest,
    status: number,
  ) => {
    await using other = await setStage([kind], options)
    expectOutcome(await other.run(kind, request), {
      status,
      cookies: [],
      check: status === 400 ? null : { X_Auth_Request_User: [] },
      ...(status === 302 && { answer: { Location: expect.stringMatching(/\/oauth2\/login$/) } }),
    })
  }
  test.for([
    ['delete nobody sees them', { underscoreHeadersStrategy: 'delete' }, FORGED, 200],
    ['reject the client gets 400', { underscoreHeadersStrategy: 'reject' }, FORGED, 400],
  ] as const)('T5 with underscoreHeadersStrategy %s', ([, options, example, status]) =>
    expectWith(options, example, status),
  )

  test('T8 an answer above maxResponseBodySize is 401, also on 2xx', () =>
    expectWith(
      { forwardAuth: { maxResponseBodySize: 10 } },
      { auth: { body: '12345678901' } },
      401,
    ))

  test.for([
    ['turns 401 into a fixed redirect without our headers', 401, 302],
    ['leaves other answers alone', 403, 403],
  ] as const)('T9 authSigninURL %s', ([, status, seen]) => {
    const auth = { status, headers: status === 401 ? ['Set-Cookie', 'a=1'] : [], body: 'no' }
    return expectWith({ forwardAuth: { authSigninURL } }, { auth }, seen)
  })

  test.for([
    ['T8 an unreachable check is 500', 'vestibuleCheckUrl', 500, ''],
    ['an unreachable app is 502', 'appUrl', 502, 'Bad Gateway'],
  ] as const)('%s', async ([, part, status, body]) => {
    const nowhere = `http://127.0.0.1:${await steadyPort()}/`
    await using other = await setStage([kind], { [part]: nowhere })
    expectOutcome(await other.run(kind, {}), { status, body, app: null })
  })
})

describe('stand-in and Traefik', () => {
  const missing = proxyMissing('traefik')
  const stage = prepared(() => setStage(stageKinds))
  beforeEach((context) => {
    if (missing) context.skip(missing)
  })

  test.for(cases)('do the same, header for header: %s', async ([, [request]], context) => {
    if (request.notForStandIn) context.skip(request.notForStandIn)
    const standIn = comparable(await stage().run('stand-in', request))
    expect(standIn).toEqual(comparable(await stage().run('traefik', request)))
  })
})

test('Caddy keeps the part of the contract that its forward_auth shares', async ({ skip }) => {
  const missing = proxyMissing('caddy')
  if (missing) skip(missing)
  await using check = await startScriptedServer()
  await using app = await startScriptedServer()
  await using caddy = await startProxy('caddy', proxied(check.url, check.url, app.url))
  const { host } = new URL(caddy.origin)
  const named = `app.test:${host.split(':')[1]}`
  const ask = () =>
    sendThrough(caddy.origin, {
      method: 'POST',
      target: '/a?b=1',
      host: named,
      headers: [`${USER}: forged`, `${GROUPS}: forged`, ...forgedForwarding],
    })

  check.script({ headers: [USER, 'alice', GROUPS, ''] })
  expect(await ask()).toMatchObject({ status: 200 })
  // Only with `uri /auth?`; for `uri /auth` Caddy hands the check the query of the original request.
  expect(check.seen[0]?.url).toMatch(/^\/auth\??$/)
  const wanted = {
    method: 'GET',
    body: '',
    'X-Forwarded-Method': 'POST',
    'X-Forwarded-Uri': '/a?b=1',
    'X-Forwarded-Host': named,
  }
  expect(seenAs(check.seen[0], wanted)).toEqual(wanted)
  expect(valuesOf(app.seen[0], USER)).toEqual(['alice'])
  expect(valuesOf(app.seen[0], GROUPS).join('')).toBe('')

  app.script()
  const Location = 'http://app.test/login'
  check.script({ status: 302, headers: ['Location', Location, 'Set-Cookie', 'a=1'] })
  const denied = await ask()
  expect([denied.status, valueOf(denied.headers, 'Location')]).toEqual([302, Location])
  expect(setCookies(denied.headers)).toEqual(['a=1'])
  expect(app.seen).toEqual([])
})
