import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import type { Hono } from 'hono'
import type { OnUnwritten } from '../http/answer-type.ts'
import { admitAnyHost } from '../http/health-path.ts'
import { type NodeEnv, requestIdOf } from '../http/request.ts'
import { answerStatus, createPlainServer, type RequestHandler } from './limited-server.ts'
import { LIMITS } from './limits.ts'
import type { OnRefused } from './refused-connection.ts'
import { type CredentialSource, createTlsServer } from './tls-server.ts'

/** Listener of the service. */
export interface Listener {
  /** Address that the listener is bound to. */
  readonly address: string
  readonly port: number
  /**
   * Makes clients move to another replica: every answer to a later request closes its connection, and HTTP/2 connections are told to open no
   * more streams.
   */
  startDraining(): void
  /**
   * Stops accepting connections and resolves when the last request is answered. Closes all connections after
   * `underWayMs`.
   */
  close(underWayMs: number): Promise<void>
}

export interface ListenOptions {
  /** No host means `::` with IPv4, and `0.0.0.0` where the machine has no IPv6, which is Node's default (finding C45). */
  readonly host: string | undefined
  readonly port: number
  /** Credentials for TLS; plain HTTP/1.1 without them. */
  readonly credentials?: CredentialSource | undefined
  /** Age at which HTTP/2 connections end at the latest. */
  readonly maxAgeMs?: number
  readonly onUnwritten?: OnUnwritten
  readonly onRefused?: OnRefused
}

const ignore = () => undefined

/** Serves an app; rejects with Node's error where the address is not free. */
export async function listen(
  app: Hono<NodeEnv>,
  { host, port, credentials, maxAgeMs, onUnwritten = ignore, onRefused = ignore }: ListenOptions,
): Promise<Listener> {
  let isDraining = false
  const answer = getRequestListener(app.fetch, {
    errorHandler: (error) => answerUnreadable(error, onUnwritten),
    autoCleanupIncoming: false,
  })
  const listener: RequestHandler = (incoming, outgoing, onAnswered) => {
    if (isDraining) limited.sendAway(outgoing)
    limitBody(incoming, outgoing)
    admitAnyHost(incoming)
    answer(incoming, outgoing).then(onAnswered, (cause: unknown) => {
      onAnswered?.()
      onUnwritten(cause, requestIdOf(incoming))
      if (outgoing.headersSent) outgoing.end()
      else answerStatus(500, outgoing)
    })
  }
  const reports = { onUnwritten, onRefused }
  const limited = credentials
    ? createTlsServer(listener, reports, credentials, maxAgeMs)
    : createPlainServer(listener, reports)
  const { server } = limited
  await bind(server, host, port)
  const bound = server.address() as AddressInfo
  return {
    address: bound.address,
    port: bound.port,
    startDraining() {
      isDraining = true
      limited.startDraining()
    },
    close: (underWayMs) =>
      new Promise((resolve) => {
        const end = setTimeout(limited.closeAllConnections, underWayMs)
        server.close(() => {
          clearTimeout(end)
          resolve()
        })
      }),
  }
}

/** Bounds the unread rest of a body; a longer one closes its connection after the answer. */
const MAX_UNREAD_BODY_BYTES = 16 * 1024

function limitBody(...[incoming, outgoing]: Parameters<RequestHandler>): void {
  if (incoming instanceof Http2ServerRequest) limitStream(incoming)
  else if (outgoing instanceof Http2ServerResponse) return
  else if (hasLongBody(incoming)) closeAfterAnswer(incoming, outgoing)
}

/** Gives a body over HTTP/2 the time that one over HTTP/1.1 has; Node resets its stream after the answer. */
function limitStream({ stream }: Http2ServerRequest): void {
  if (stream.endAfterHeaders) return
  const end = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), LIMITS.requestTimeout)
  end.unref()
  stream.once('close', () => clearTimeout(end))
}

function hasLongBody(incoming: IncomingMessage): boolean {
  // Holds at once where no body was announced.
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
