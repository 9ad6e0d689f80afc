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
import type { NodeEnv } from './routes/node-env.ts'

/** One listener of the service. */
export interface Listener {
  readonly port: number
  /** From now on every answer closes its connection, so that clients go elsewhere. */
  startDraining(): void
  /** Takes no new connections and resolves when the last request has been answered; connections end after this at the latest. */
  close(underWayMs: number): Promise<void>
}

/** Slow and oversized requests end here (threats A76, A94). */
const LIMITS: ServerOptions = {
  maxHeaderSize: 64 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 2000,
  // Go's client, and so Traefik, reuses idle connections for 90 s.
  keepAliveTimeout: 95_000,
  // Node's own answer to a request without Host could be stored; ours is made below.
  requireHostHeader: false,
}

/** Beyond this many connections of one listener new ones are dropped. */
const MAX_CONNECTIONS = 20_000

/** Serves an app. The address must be free; otherwise the promise rejects with Node's error. */
export async function listen(app: Hono<NodeEnv>, host: string, port: number): Promise<Listener> {
  let isDraining = false
  const answer = getRequestListener(app.fetch, {
    errorHandler: answerUnreadable,
    autoCleanupIncoming: false,
  })
  const listener: RequestListener = (incoming, outgoing) => {
    if (isDraining) outgoing.shouldKeepAlive = false
    if (hasLongBody(incoming)) closeAfterAnswer(incoming, outgoing)
    answer(incoming, outgoing).catch(() => {
      // What cannot be written is a denial, not the end of the process.
      if (!outgoing.headersSent) outgoing.writeHead(500, { 'Cache-Control': 'no-store' })
      outgoing.end()
    })
  }
  const server = createServer(LIMITS, listener)
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', answerMalformed)
  server.on('checkExpectation', (_incoming, outgoing) => {
    outgoing.writeHead(417, { 'Cache-Control': 'no-store', Connection: 'close' }).end()
  })
  await bind(server, host, port)
  return {
    port: (server.address() as AddressInfo).port,
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

/** More of a body than this is never read on: the connection ends with the answer. */
const MAX_UNREAD_BODY_BYTES = 16 * 1024

function hasLongBody({ headers }: IncomingMessage): boolean {
  const bytes = Number(headers['content-length'] ?? 0)
  return headers['transfer-encoding'] !== undefined || bytes > MAX_UNREAD_BODY_BYTES
}

function closeAfterAnswer(incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.shouldKeepAlive = false
  outgoing.once('finish', () => {
    if (!incoming.complete) incoming.socket.destroySoon()
  })
}

/** What Node's parser refuses gets a status and is not stored (RFC 9110 sections 15.5.1, 15.5.9; RFC 6585 section 5). */
function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Behind an answer, a second one would be taken for that of another request.
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

/** A request that has no form to be routed, such as one with a broken `Host` or none. */
function answerUnreadable(error: unknown): Response {
  const status = error instanceof RequestError ? 400 : 500
  return new Response(null, { status, headers: { 'Cache-Control': 'no-store' } })
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 2048 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
