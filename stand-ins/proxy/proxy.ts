import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { closeServer, listenOn } from '../network/server.ts'
import {
  applyUnderscoreStrategy,
  clientAddress,
  type EntryPoint,
  hasToken,
  rewriteForwarded,
} from './entry-point.ts'
import {
  type Asked,
  answer,
  check,
  type ForwardAuth,
  mergeCookies,
  type Verdict,
} from './forward-auth.ts'
import { flatHeaders, goHeaders, parseTarget } from './go-http.ts'

export interface ProxyRoute {
  /** Host name without port; `*.` stands for one label, `*` for every host. */
  readonly host: string
  readonly pathPrefix?: string
  readonly backend: string
  readonly forwardAuth?: ForwardAuth
}

export interface StandInOptions extends EntryPoint {
  readonly port?: number
  readonly routes: readonly ProxyRoute[]
}

export interface RunningProxy extends AsyncDisposable {
  readonly origin: string
  readonly close: () => Promise<void>
}

const MAX_HEADER_BYTES = 1024 * 1024

/** Starts a stand-in for Traefik 3.7 with `trustForwardHeader: true` and no trusted proxy before it. */
export const startStandIn = async (options: StandInOptions): Promise<RunningProxy> => {
  const tunnels = new Set<Duplex>()
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES })
  server.on('request', (request, response) => {
    handle({ request, response, options }).catch(() => response.destroy())
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    tunnels.add(socket)
    socket.once('close', () => tunnels.delete(socket)).on('error', () => socket.destroy())
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.end())
    handle({ request, response, options, upgrade: { socket, head } }).catch(() => socket.destroy())
  })
  const port = await listenOn(server, options.port)
  const close = () => closeServer(server, tunnels)
  return { origin: `http://127.0.0.1:${port}`, close, [Symbol.asyncDispose]: close }
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly options: StandInOptions
  readonly upgrade?: { readonly socket: Socket; readonly head: Buffer }
}

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
  const verdict = await check(request, response, route.forwardAuth, asked)
  if (verdict) return proxy(exchange, route.backend, asked, verdict)
}

const plainText = { 'Content-Type': 'text/plain; charset=utf-8' }
const noSniff = { 'X-Content-Type-Options': 'nosniff' }

const findRoute = (
  routes: readonly ProxyRoute[],
  host: string,
  path: string,
): ProxyRoute | undefined =>
  routes
    .filter((route) => matchesHost(route.host, host) && path.startsWith(route.pathPrefix ?? ''))
    .toSorted((a, b) => (b.pathPrefix ?? '').length - (a.pathPrefix ?? '').length)[0]

const matchesHost = (pattern: string, host: string): boolean => {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  if (!pattern.startsWith('*')) return name === pattern
  return pattern === '*' || name.slice(name.indexOf('.')) === pattern.slice(1)
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
    // As Traefik does, so that a stream begins before its first event.
    response.flushHeaders()
    // A pipe alone would keep the client waiting for a backend that is gone.
    incoming.on('close', () => incoming.complete || response.destroy()).pipe(response)
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
