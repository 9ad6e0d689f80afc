import {
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  request as openRequest,
  type RequestListener,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Certificate } from '../../stand-ins/certificates.ts'
import { closeServer, listenOn } from '../../stand-ins/network/server.ts'

export interface Meddling {
  readonly port?: number
  /** Speaks TLS to clients with this certificate. */
  readonly tls?: Certificate
  readonly path?: (path: string) => string
  readonly request?: (headers: IncomingHttpHeaders) => IncomingHttpHeaders
  readonly response?: (headers: IncomingHttpHeaders) => OutgoingHttpHeaders
}

/** Starts a proxy that changes what passes it, as a misconfigured one does. */
export async function startMeddler(target: string, meddling: Meddling) {
  const { request: change = same, response: changeBack = same, path = (each) => each } = meddling
  const serve: RequestListener = (request, response) => {
    const { method, headers, url = '/' } = request
    const outgoing = openRequest(target, { method, path: path(url), headers: change(headers) })
    outgoing.on('error', () => response.destroy())
    outgoing.on('response', (incoming) => {
      response.writeHead(incoming.statusCode ?? 502, changeBack(incoming.headers))
      incoming.pipe(response)
    })
    request.pipe(outgoing)
  }
  const { tls } = meddling
  const server = tls
    ? createTlsServer({ cert: tls.certificate, key: tls.privateKey }, serve)
    : createServer(serve)
  const port = await listenOn(server, meddling.port)
  return { port, [Symbol.asyncDispose]: () => closeServer(server) }
}

const same = (headers: IncomingHttpHeaders) => headers
