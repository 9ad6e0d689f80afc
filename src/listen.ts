import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener, RequestError } from '@hono/node-server'
import type { Hono } from 'hono'
import { createAnswerType, type OnUnwritten } from './http/answer-type.ts'
import { type NodeEnv, requestIdOf } from './http/request.ts'
import { createRequestType } from './http/request-type.ts'

/** Listener of the service. */
export interface Listener {
  /** Address that the listener is bound to. */
  readonly address: string
  readonly port: number
  /** Makes every answer close its connection, so that clients move to another replica. */
  startDraining(): void
  /**
   * Stops accepting connections and resolves when the last request is answered. Closes all connections after
   * `underWayMs`.
   */
  close(underWayMs: number): Promise<void>
}

/** Limits for slow and oversized requests (threats A76, A94). */
const LIMITS: ServerOptions = {
  maxHeaderSize: 64 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 2000,
  // Go's client, and so Traefik, reuses idle connections for 90 s.
  keepAliveTimeout: 95_000,
  // Off, because Node's own answer to a request without Host has no `Cache-Control: no-store`.
  requireHostHeader: false,
  // Makes no stream for a body that is not sent, which is a tenth of the CPU of a bare server.
  optimizeEmptyRequests: true,
}

/** Bounds the connections of one listener; further ones are dropped. */
const MAX_CONNECTIONS = 20_000

/**
 * Serves an app; rejects with Node's error where the address is not free. No host means `::` with IPv4, and `0.0.0.0`
 * where the machine has no IPv6, which is Node's own default (finding C45).
 */
export async function listen(
  app: Hono<NodeEnv>,
  host: string | undefined,
  port: number,
  onUnwritten: OnUnwritten = () => undefined,
): Promise<Listener> {
  let isDraining = false
  const answer = getRequestListener(app.fetch, {
    errorHandler: (error) => answerUnreadable(error, onUnwritten),
    autoCleanupIncoming: false,
  })
  const listener: RequestListener = (incoming, outgoing) => {
    if (isDraining) outgoing.shouldKeepAlive = false
    if (hasLongBody(incoming)) closeAfterAnswer(incoming, outgoing)
    answer(incoming, outgoing).catch((cause: unknown) => {
      onUnwritten(cause, requestIdOf(incoming))
      if (!outgoing.headersSent) outgoing.writeHead(500, { 'Cache-Control': 'no-store' })
      outgoing.end()
    })
  }
  const server = createLimitedServer(listener, onUnwritten)
  await bind(server, host, port)
  const bound = server.address() as AddressInfo
  return {
    address: bound.address,
    port: bound.port,
    startDraining() {
      isDraining = true
    },
    close: (underWayMs) =>
      new Promise((resolve) => {
        const end = setTimeout(() => server.closeAllConnections(), underWayMs)
        server.close(() => {
          clearTimeout(end)
          resolve()
        })
      }),
  }
}

function createLimitedServer(listener: RequestListener, onUnwritten: OnUnwritten): Server {
  const ServerResponse = createAnswerType(onUnwritten)
  const IncomingMessage = createRequestType()
  const server = createServer({ ...LIMITS, ServerResponse, IncomingMessage }, listener)
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', answerMalformed)
  server.on('checkExpectation', (_incoming, outgoing) => {
    outgoing.writeHead(417, { 'Cache-Control': 'no-store', Connection: 'close' }).end()
  })
  return server
}

/** Bounds the unread rest of a body; a longer one closes its connection after the answer. */
const MAX_UNREAD_BODY_BYTES = 16 * 1024

function hasLongBody(incoming: IncomingMessage): boolean {
  // Is so at once where no body was announced.
  if (incoming.readableEnded) return false
  const { headers } = incoming
  const bytes = Number(headers['content-length'] ?? 0)
  return headers['transfer-encoding'] !== undefined || bytes > MAX_UNREAD_BODY_BYTES
}

function closeAfterAnswer(incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.shouldKeepAlive = false
  outgoing.once('finish', () => {
    if (!incoming.complete) incoming.socket.destroySoon()
  })
}

/**
 * Answers what Node's parser refuses (RFC 9110 sections 15.5.1, 15.5.9; RFC 6585 section 5). Logs nothing, because
 * strangers could fill the log (threat A94).
 */
function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // After an earlier answer a second one would be taken for that of another request.
  const isAnswered = socket instanceof Socket && socket.bytesWritten > 0
  if (!socket.writable || isAnswered) {
    socket.destroy()
    return
  }
  const status = PARSER_STATUS[error.code ?? ''] ?? '400 Bad Request'
  socket.end(
    `HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  )
}

const PARSER_STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** Answers a request that cannot be routed, such as one with a malformed `Host` or none, which is not logged either. */
function answerUnreadable(error: unknown, onUnwritten: OnUnwritten): Response {
  const status = error instanceof RequestError ? 400 : 500
  if (status === 500) onUnwritten(error, undefined)
  return new Response(null, { status, headers: { 'Cache-Control': 'no-store' } })
}

function bind(server: Server, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 2048 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
