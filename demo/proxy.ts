import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  ServerResponse,
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  canonicalName,
  flatHeaders,
  type GoHeaders,
  goHeaders,
  parseTarget,
  rewriteSetCookie,
  setCookieName,
} from './go-http.ts'

/** Traefik's `forwardAuth` options, with Traefik's names. */
export interface ForwardAuth {
  readonly address: string
  readonly authResponseHeaders?: readonly string[]
  readonly addAuthCookiesToResponse?: readonly string[]
  readonly authSigninURL?: string
  readonly maxResponseBodySize?: number
  readonly preserveLocationHeader?: boolean
}

export interface ProxyRoute {
  /** A host name without port, `*.` in front for any one label, or `*` for every host. */
  readonly host: string
  readonly pathPrefix?: string
  readonly backend: string
  readonly forwardAuth?: ForwardAuth
}

export interface StandInOptions {
  readonly port?: number
  readonly routes: readonly ProxyRoute[]
  /** What the entry point speaks as far as forwarded headers go; the socket is plain either way. */
  readonly scheme?: 'http' | 'https'
  readonly underscoreHeadersStrategy?: 'keep' | 'delete' | 'reject'
}

export interface RunningProxy extends AsyncDisposable {
  readonly origin: string
  readonly close: () => Promise<void>
}

/** A stand-in for Traefik 3.7 with `trustForwardHeader: true` and no trusted proxy in front of it. */
export const startStandIn = async (options: StandInOptions): Promise<RunningProxy> => {
  const tunnels = new Set<Duplex>()
  const server = createServer({ maxHeaderSize: 1024 * 1024, insecureHTTPParser: false })
  server.on('request', (request, response) => void handle({ request, response, options }))
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    tunnels.add(socket)
    socket.once('close', () => tunnels.delete(socket)).on('error', () => socket.destroy())
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.end())
    void handle({ request, response, options, upgrade: { socket, head } })
  })
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject)
  server.listen(options.port ?? 0, '127.0.0.1', () => listening.resolve())
  await listening.promise

  const close = async (): Promise<void> => {
    const closed = Promise.withResolvers<void>()
    server.close(() => closed.resolve())
    server.closeAllConnections()
    for (const tunnel of tunnels) tunnel.destroy()
    await closed.promise
  }
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, close, [Symbol.asyncDispose]: close }
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly options: StandInOptions
  readonly upgrade?: { readonly socket: Socket; readonly head: Buffer }
}

const CHECK_TIMEOUT_MS = 30_000

const handle = async (exchange: Exchange): Promise<void> => {
  const { request, response, options } = exchange
  const headers = goHeaders(request.rawHeaders)
  const target = parseTarget(request.url ?? '')
  if (target === 'malformed') return answer(response, 400, '400 Bad Request', plainText)
  if (target === 'fragment') return answer(response, 400)
  if (!applyUnderscoreStrategy(headers, options)) {
    return answer(response, 400, 'Bad Request\n', { ...plainText, ...noSniff })
  }

  const host = target.host ?? headers.get('Host')?.[0] ?? ''
  headers.delete('Host')
  rewriteForwarded(headers, host, request, options.scheme ?? 'http')
  const route = findRoute(options.routes, host, target.escapedPath)
  if (!route) return answer(response, 404, '404 page not found\n', { ...plainText, ...noSniff })

  const asked: Asked = { headers, host, requestUri: target.requestUri }
  if (!route.forwardAuth) return proxy(exchange, route.backend, asked, undefined)
  const verdict = await check(exchange, route.forwardAuth, asked)
  if (verdict) return proxy(exchange, route.backend, asked, verdict)
}

interface Asked {
  readonly headers: GoHeaders
  readonly host: string
  readonly requestUri: string
}

const plainText = { 'Content-Type': 'text/plain; charset=utf-8' }
const noSniff = { 'X-Content-Type-Options': 'nosniff' }

const answer = (
  response: ServerResponse,
  status: number,
  body = '',
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(status, headers).end(body)
}

const applyUnderscoreStrategy = (headers: GoHeaders, options: StandInOptions): boolean => {
  const strategy = options.underscoreHeadersStrategy ?? 'keep'
  const names = [...headers.keys()].filter((name) => name.includes('_'))
  if (strategy === 'delete') for (const name of names) headers.delete(name)
  return strategy !== 'reject' || names.length === 0
}

const MANAGED = new Set([
  'X-Forwarded-Proto',
  'X-Forwarded-Scheme',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Server',
  'X-Forwarded-Uri',
  'X-Forwarded-Method',
  'X-Forwarded-Prefix',
  'X-Forwarded-Tls-Client-Cert',
  'X-Forwarded-Tls-Client-Cert-Info',
  'X-Scheme',
  'X-Real-Ip',
])

const isManaged = (name: string): boolean => MANAGED.has(canonicalName(name.replaceAll('_', '-')))

/** The entry point: what an untrusted client says about forwarding is deleted, underscore spellings too. */
const rewriteForwarded = (
  headers: GoHeaders,
  host: string,
  request: IncomingMessage,
  scheme: 'http' | 'https',
): void => {
  for (const name of [...headers.keys()]) if (isManaged(name)) headers.delete(name)
  const isWebSocket =
    hasToken(headers.get('Connection')?.[0], 'upgrade') &&
    hasToken(headers.get('Upgrade')?.[0], 'websocket')
  const webSocketScheme = scheme === 'https' ? 'wss' : 'ws'
  headers.set('X-Real-Ip', [clientAddress(request)])
  headers.set('X-Forwarded-Proto', [isWebSocket ? webSocketScheme : scheme])
  headers.set('X-Forwarded-Port', [
    /:(\d+)$/.exec(host)?.[1] ?? (scheme === 'https' ? '443' : '80'),
  ])
  headers.set('X-Forwarded-Host', [host])
  headers.set('X-Forwarded-Server', [hostname()])
  removeConnectionHeaders(headers)
}

const hasToken = (list: string | undefined, token: string): boolean =>
  (list ?? '').split(',').some((part) => part.trim().toLowerCase() === token)

const clientAddress = (request: IncomingMessage): string => request.socket.remoteAddress ?? ''

/** A client may name any header in Connection, except those that the proxy itself writes. */
const removeConnectionHeaders = (headers: GoHeaders): void => {
  const lists = headers.get('Connection') ?? []
  const upgrade = lists.some((list) => hasToken(list, 'upgrade'))
    ? headers.get('Upgrade')
    : undefined
  for (const name of lists.flatMap((list) => list.split(','))) {
    const canonical = canonicalName(name.trim())
    if (!isManaged(canonical)) headers.delete(canonical)
  }
  headers.delete('Connection')
  if (!upgrade) return
  headers.set('Upgrade', upgrade.slice(0, 1))
  headers.set('Connection', ['Upgrade'])
}

const findRoute = (
  routes: readonly ProxyRoute[],
  host: string,
  path: string,
): ProxyRoute | undefined =>
  routes
    .filter((route) => matchesHost(route.host, host) && path.startsWith(route.pathPrefix ?? ''))
    .sort((a, b) => (b.pathPrefix ?? '').length - (a.pathPrefix ?? '').length)[0]

const matchesHost = (pattern: string, host: string): boolean => {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  if (!pattern.startsWith('*')) return name === pattern
  return pattern === '*' || name.slice(name.indexOf('.')) === pattern.slice(1)
}

const CHECK_HOP_HEADERS = [
  'Connection',
  'Keep-Alive',
  'Te',
  'Trailers',
  'Transfer-Encoding',
  'Upgrade',
]
/** Go's client writes these from the message itself, and the check has no message body. */
const NOT_WRITTEN = ['Content-Length', 'Trailer']

interface Verdict {
  readonly authCookies: readonly string[]
  readonly passedCookies: ReadonlySet<string>
}

/** Asks the auth server; a verdict means "proxy it", and without one the client has its answer already. */
const check = async (
  { request, response }: Exchange,
  auth: ForwardAuth,
  asked: Asked,
): Promise<Verdict | undefined> => {
  const headers: GoHeaders = new Map(asked.headers)
  for (const name of [...CHECK_HOP_HEADERS, ...NOT_WRITTEN]) headers.delete(name)
  headers.set('X-Forwarded-For', [clientAddress(request)])
  headers.set('X-Forwarded-Method', [request.method ?? 'GET'])
  headers.set('X-Forwarded-Uri', [asked.requestUri])

  const reply = await ask(auth.address, headers).catch(() => undefined)
  if (!reply) return void answer(response, 500)
  if (reply.body.length > (auth.maxResponseBodySize ?? Number.POSITIVE_INFINITY)) {
    return void answer(response, 401)
  }
  if (reply.status === 401 && auth.authSigninURL) return void redirect(response, auth.authSigninURL)
  if (reply.status < 200 || reply.status >= 300) return void passOn(response, reply, auth)

  for (const name of (auth.authResponseHeaders ?? []).map(canonicalName)) {
    const values = reply.headers.get(name)
    if (values) asked.headers.set(name, values)
    else asked.headers.delete(name)
  }
  return {
    authCookies: (reply.headers.get('Set-Cookie') ?? []).filter((line) => setCookieName(line)),
    passedCookies: new Set(auth.addAuthCookiesToResponse),
  }
}

interface Reply {
  readonly status: number
  readonly headers: GoHeaders
  readonly body: Buffer
}

const ask = async (address: string, headers: GoHeaders): Promise<Reply> => {
  const replied = Promise.withResolvers<IncomingMessage>()
  const outgoing = openRequest(address, {
    headers: ['Host', new URL(address).host, ...flatHeaders(headers)],
    timeout: CHECK_TIMEOUT_MS,
  })
  outgoing.on('timeout', () => outgoing.destroy(new Error('the auth server did not answer')))
  outgoing.on('response', replied.resolve).on('error', replied.reject)
  outgoing.end()
  const incoming = await replied.promise
  const body = await buffer(incoming)
  return { status: incoming.statusCode ?? 0, headers: goHeaders(incoming.rawHeaders), body }
}

const redirect = (response: ServerResponse, location: string): void => {
  response.writeHead(302, { Location: location }).end()
}

/** Any answer but a 2xx is the client's, except what concerns the connection to the auth server. */
const passOn = (response: ServerResponse, reply: Reply, auth: ForwardAuth): void => {
  for (const name of CHECK_HOP_HEADERS) reply.headers.delete(name)
  const [location] = reply.headers.get('Location') ?? []
  if (location && !auth.preserveLocationHeader) {
    if (!URL.canParse(location, auth.address)) return answer(response, 500)
    const isAbsolute = URL.canParse(location)
    reply.headers.set('Location', [isAbsolute ? location : new URL(location, auth.address).href])
  }
  response.writeHead(reply.status, flatHeaders(reply.headers)).end(reply.body)
}

const PROXY_HOP_HEADERS = [
  'Connection',
  'Proxy-Connection',
  'Keep-Alive',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'Te',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
]

const proxy = (
  exchange: Exchange,
  backend: string,
  { headers, host, requestUri }: Asked,
  verdict: Verdict | undefined,
): void => {
  const { request, response, upgrade } = exchange
  const protocol = upgrade && headers.get('Upgrade')
  const isChunked = headers.has('Transfer-Encoding')
  const wantsTrailers = headers.get('Te')?.some((list) => hasToken(list, 'trailers'))
  for (const name of PROXY_HOP_HEADERS) headers.delete(name)
  if (wantsTrailers) headers.set('Te', ['trailers'])
  if (protocol) headers.set('Connection', ['Upgrade']).set('Upgrade', protocol)
  if (isChunked) headers.set('Transfer-Encoding', ['chunked'])
  else if (hasBodyByNature(request) && !headers.has('Content-Length')) {
    headers.set('Content-Length', ['0'])
  }
  headers.set('X-Forwarded-For', [clientAddress(request)])

  const outgoing = openRequest(backend, {
    method: request.method,
    path: requestUri,
    headers: ['Host', host, ...flatHeaders(headers)],
  })
  outgoing.on('error', () => {
    if (response.headersSent) response.destroy()
    else answer(response, 502, 'Bad Gateway')
  })
  outgoing.on('response', (incoming) => {
    const backendHeaders = goHeaders(incoming.rawHeaders)
    for (const name of PROXY_HOP_HEADERS) backendHeaders.delete(name)
    if (verdict?.authCookies.length) mergeCookies(backendHeaders, verdict)
    response.writeHead(incoming.statusCode ?? 502, flatHeaders(backendHeaders))
    incoming.pipe(response)
  })
  response.on('close', () => outgoing.destroy())
  if (!upgrade) return void request.pipe(outgoing)
  outgoing.on('upgrade', (incoming, socket, head) => {
    response.detachSocket(upgrade.socket)
    tunnel(upgrade, incoming, socket, head)
  })
  outgoing.end()
}

const hasBodyByNature = (request: IncomingMessage): boolean =>
  ['POST', 'PUT', 'PATCH'].includes(request.method ?? '')

/** Only here do cookies of the auth server reach the client on a 2xx, and the listed names displace the backend's. */
const mergeCookies = (headers: GoHeaders, { authCookies, passedCookies }: Verdict): void => {
  const isListed = (line: string): boolean => passedCookies.has(setCookieName(line) ?? '')
  const own = (headers.get('Set-Cookie') ?? []).filter((line) => !isListed(line))
  const kept = [...own, ...authCookies.filter(isListed)].flatMap(
    (line) => rewriteSetCookie(line) ?? [],
  )
  if (kept.length > 0) headers.set('Set-Cookie', kept)
  else headers.delete('Set-Cookie')
}

const tunnel = (
  { socket: client, head }: NonNullable<Exchange['upgrade']>,
  incoming: IncomingMessage,
  backend: Socket,
  backendHead: Buffer,
): void => {
  const lines = [`HTTP/1.1 101 ${incoming.statusMessage}`]
  for (const [name, values] of goHeaders(incoming.rawHeaders)) {
    for (const value of values) lines.push(`${name}: ${value}`)
  }
  client.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  if (backendHead.length > 0) client.write(backendHead)
  if (head.length > 0) backend.write(head)
  client.pipe(backend).pipe(client)
  backend.on('error', () => client.destroy()).on('close', () => client.destroy())
  client.on('close', () => backend.destroy())
}
