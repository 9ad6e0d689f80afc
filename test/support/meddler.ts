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
  /** Ends requests for these paths without an answer. */
  readonly drops?: (path: string) => boolean
  /** Replaces the body of answers with this status. */
  readonly body?: { readonly status: number; readonly text: string }
  readonly response?: (headers: IncomingHttpHeaders) => OutgoingHttpHeaders
}

/** Starts a proxy that changes what passes it, as a misconfigured one does. */
export async function startMeddler(target: string, meddling: Meddling) {
  const { request: change = same, response: changeBack = same, path = (each) => each } = meddling
  const serve: RequestListener = (request, response) => {
    const { method, headers, url = '/' } = request
    if (meddling.drops?.(url)) return void response.destroy()
    const outgoing = openRequest(target, { method, path: path(url), headers: change(headers) })
    outgoing.on('error', () => response.destroy())
    outgoing.on('response', (incoming) => {
      const { statusCode = 502 } = incoming
      const isReplaced = meddling.body?.status === statusCode
      const { 'content-length': length, ...kept } = changeBack(incoming.headers)
      response.writeHead(statusCode, {
        ...kept,
        ...(!isReplaced && length && { 'content-length': length }),
      })
      if (isReplaced) incoming.resume().once('end', () => response.end(meddling.body?.text))
      else incoming.pipe(response)
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
