import { constants } from 'node:crypto'
import type { Server } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  Http2ServerRequest,
  Http2ServerResponse,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { createAnswerType } from '../http/answer-type.ts'
import { connectionOf } from '../http/connection.ts'
import { createHttp2AnswerType } from '../http/http2-answer-type.ts'
import { createRequestType } from '../http/request-type.ts'
import { answerText, createMalformedAnswer } from './answer-malformed.ts'
import { createHandshakeQueue, type HandshakeQueue } from './handshake-queue.ts'
import { hasTooLargeHead } from './http2-session.ts'
import {
  answerStatus,
  closeWhenAnswered,
  type LimitedServer,
  type RequestHandler,
  refuseExpectation,
  type ServerReports,
} from './limited-server.ts'
import {
  HANDSHAKE_TIMEOUT_MS,
  HTTP2_LIMITS,
  LEAVING,
  LIMITS,
  MAX_AGE_MS,
  MAX_CONNECTIONS,
} from './limits.ts'
import { createTlsConnections, type TlsConnections } from './tls-connections.ts'

/** Certificate and key of a listener as PEM texts, with the authority whose client certificates are asked for. */
export interface Credentials {
  readonly cert: string
  readonly key: string
  readonly clientCa?: string
}

/** Credentials that may be replaced while the listener runs. */
export interface CredentialSource {
  current(): Credentials
  onReplaced(listener: (next: Credentials) => void): void
}

const CHECKING_INTERVAL_MS = 1000

/** Creates a server that speaks HTTP/2 and HTTP/1.1 over TLS 1.2 and 1.3, as the client's ALPN asks. */
export function createTlsServer(
  listener: RequestHandler,
  reports: ServerReports,
  source: CredentialSource,
  maxAgeMs = MAX_AGE_MS,
): LimitedServer {
  const connections = createTlsConnections(reports.onRefused, maxAgeMs)
  let current = source.current()
  const server: Http2SecureServer & Partial<Pick<Server, 'closeIdleConnections'>> =
    createSecureServer(optionsFor(current, reports))
  server.on('request', (...[incoming, outgoing]: Parameters<RequestHandler>) => {
    if (incoming instanceof Http2ServerRequest) {
      if (hasTooLargeHead(incoming)) {
        answerStatus(431, outgoing)
        return connections.closeSession(incoming.stream.session)
      }
    } else if (connections.isOutdated(incoming.socket)) return incoming.socket.destroy()
    listener(incoming, outgoing, connections.beginAnswerTo(connectionOf(incoming)))
  })
  server.maxConnections = MAX_CONNECTIONS
  const handshakes = queueHandshakes(server, connections)
  listenFor(server, connections, reports)
  source.onReplaced((next) => {
    server.setSecureContext(contextOf(next))
    if (next.clientCa !== current.clientCa) {
      connections.outdate()
      server.closeIdleConnections?.()
    }
    current = next
  })
  const checking = setInterval(connections.check, CHECKING_INTERVAL_MS).unref()
  server.once('close', () => clearInterval(checking))
  return {
    server,
    startDraining: connections.closeSessions,
    sendAway(outgoing) {
      if (outgoing instanceof Http2ServerResponse) {
        connections.closeSession(outgoing.stream.session, LEAVING.afterMs)
      } else closeWhenAnswered(outgoing)
    },
    closeAllConnections() {
      handshakes.destroyWaiting()
      connections.destroyAll()
    },
  }
}

/** Puts a queue before Node's own listener, which begins a handshake with each connection at once. */
function queueHandshakes(server: Http2SecureServer, connections: TlsConnections): HandshakeQueue {
  const begin = server.listeners('connection')
  server.removeAllListeners('connection')
  const handshakes = createHandshakeQueue((raw) => {
    connections.add(raw)
    for (const each of begin) each.call(server, raw)
  }, connections.drop)
  server.on('connection', handshakes.add)
  server.on('secureConnection', (socket: TLSSocket) => {
    const raw = connections.secure(socket)
    if (raw) handshakes.end(raw)
    else socket.destroy()
  })
  return handshakes
}

function optionsFor(credentials: Credentials, { onUnwritten }: ServerReports) {
  return {
    ...contextOf(credentials),
    ...HTTP2_LIMITS,
    allowHTTP1: true,
    // Node gives these connections none of the limits of a plain server.
    http1Options: {
      ...LIMITS,
      ServerResponse: createAnswerType(onUnwritten),
      IncomingMessage: createRequestType(),
    },
    Http2ServerResponse: createHttp2AnswerType(onUnwritten),
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    // Requests tell who may ask without a certificate, so that probes work.
    requestCert: credentials.clientCa !== undefined,
    rejectUnauthorized: false,
  }
}

/** No session is resumed, because it would not show its client certificate again. */
function contextOf({ cert, key, clientCa }: Credentials) {
  return {
    cert,
    key,
    ...(clientCa !== undefined && { ca: clientCa }),
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  } as const
}

function listenFor(
  server: Http2SecureServer,
  connections: TlsConnections,
  { onRefused }: ServerReports,
): void {
  const answerMalformed = createMalformedAnswer(onRefused)
  server.on('session', connections.addSession)
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    // Empties OpenSSL's queue of errors: Node takes one of a client certificate with a wrong signature for one of the connection.
    socket.getPeerX509Certificate()
  })
  // Node's own listener would report a failed handshake as a malformed request.
  server.removeAllListeners('tlsClientError')
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const connection = connections.remove(socket)
    if (connection) refuseHandshake(error, connection.raw, connection.peer, onRefused)
    socket.destroy()
  })
  server.on('clientError', (error: Error, socket: Duplex) => answerMalformed(error, socket))
  server.on('checkExpectation', refuseExpectation)
  server.on('connect', (_incoming, outgoing: Http2ServerResponse | Socket) => {
    if (outgoing instanceof Http2ServerResponse) {
      answerStatus(405, outgoing)
    } else outgoing.destroy()
  })
  // Each connection reports its own; without a listener here an error would end the process.
  server.on('sessionError', () => undefined)
}

/** Codes of OpenSSL for a first packet that is no TLS. */
const NO_TLS: ReadonlySet<unknown> = new Set([
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
  'ERR_SSL_WRONG_VERSION_NUMBER',
])

/** Reports a failed handshake; a client that said nothing is a probe of a balancer. */
function refuseHandshake(
  { code, message }: NodeJS.ErrnoException,
  raw: Socket,
  peer: string,
  onRefused: ServerReports['onRefused'],
): void {
  if (NO_TLS.has(code)) {
    raw.write(answerText('400 Bad Request'))
    onRefused({ kind: 'plain_to_tls', peer })
  } else if (raw.bytesRead > 0) {
    onRefused({ kind: 'handshake', peer, cause: code ?? message })
  }
}
