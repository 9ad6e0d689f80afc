import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { closeServer, listenOn } from './server.ts'

/** HTTP proxy as companies run them: CONNECT for https, absolute addresses for http. */
export interface HttpProxy extends AsyncDisposable {
  readonly port: number
  /** Request lines seen so far, without the version: `CONNECT host:443`, `GET http://host/path`. */
  readonly seen: readonly string[]
  /** `Proxy-Authorization` of the last request. */
  readonly authorization: () => string | undefined
  readonly behave: (behaviour: ProxyBehaviour) => void
  /** Connections that clients have open. */
  readonly connections: () => number
}

/** Fault of a proxy: a status that it answers itself, silence, or a closed connection. */
export type ProxyBehaviour =
  | 'works'
  | 'is silent'
  | 'closes'
  | 'is silent behind the tunnel'
  | number

export interface HttpProxyOptions {
  /** Connects every host to this port of 127.0.0.1, so that names need not exist. */
  readonly targetPort?: number
}

export async function startHttpProxy({ targetPort }: HttpProxyOptions = {}): Promise<HttpProxy> {
  const seen: string[] = []
  const sockets = new Set<Duplex>()
  let behaviour: ProxyBehaviour = 'works'
  let authorization: string | undefined

  const note = (incoming: IncomingMessage) => {
    seen.push(`${incoming.method} ${incoming.url}`)
    authorization = incoming.headers['proxy-authorization']
  }

  const server = createServer((incoming, response) => {
    note(incoming)
    if (behaviour === 'closes') incoming.destroy()
    else if (typeof behaviour === 'number') response.writeHead(behaviour).end()
    else if (behaviour === 'works') forward(incoming, response, targetPort)
  })
  server.on('connect', (incoming: IncomingMessage, socket: Duplex) => {
    note(incoming)
    socket.on('error', () => undefined)
    if (behaviour === 'closes') socket.destroy()
    else if (typeof behaviour === 'number') socket.end(`HTTP/1.1 ${behaviour} No\r\n\r\n`)
    else if (behaviour === 'works') tunnel(incoming.url ?? '', socket, targetPort)
    else {
      if (behaviour === 'is silent behind the tunnel') socket.write(ESTABLISHED)
      // Reads on, because only so it notices that the client has left.
      socket.resume().on('end', () => socket.destroy())
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })

  return {
    port: await listenOn(server),
    seen,
    authorization: () => authorization,
    behave: (next) => {
      behaviour = next
    },
    connections: () => sockets.size,
    [Symbol.asyncDispose]: () => closeServer(server, sockets),
  }
}

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n'

function forward(incoming: IncomingMessage, response: ServerResponse, targetPort?: number): void {
  const { hostname, port, pathname, search } = new URL(incoming.url ?? '')
  const { 'proxy-authorization': _, 'proxy-connection': __, ...headers } = incoming.headers
  const target = targetPort === undefined ? { hostname, port } : { port: targetPort }
  const options = { ...target, method: incoming.method, path: `${pathname}${search}`, headers }
  const outgoing = request({ ...options, agent: false }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    answer.pipe(response)
  })
  outgoing.on('error', () => response.writeHead(502).end())
  incoming.pipe(outgoing)
}

function tunnel(target: string, socket: Duplex, targetPort?: number): void {
  const { hostname, port } = new URL(`http://${target}`)
  const peer = connect(targetPort ?? Number(port || 80), targetPort ? '127.0.0.1' : hostname)
  peer.on('connect', () => {
    socket.write(ESTABLISHED)
    peer.pipe(socket).pipe(peer)
  })
  peer.on('error', () => socket.destroy())
  socket.on('close', () => peer.destroy())
}
