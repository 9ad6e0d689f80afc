import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Server } from 'node:net'
import { createAnswerType, type OnUnwritten } from '../http/answer-type.ts'
import { createRequestType } from '../http/request-type.ts'
import { createMalformedAnswer } from './answer-malformed.ts'
import { LIMITS, MAX_CONNECTIONS } from './limits.ts'
import type { OnRefused } from './refused-connection.ts'

/** Answers a request of either protocol; calls `onAnswered` when the answer is handed to Node. */
export type RequestHandler = (
  incoming: IncomingMessage | Http2ServerRequest,
  outgoing: ServerResponse | Http2ServerResponse,
  onAnswered?: () => void,
) => void

/** Server with all limits, plain or with TLS. */
export interface LimitedServer {
  readonly server: Server
  /** Tells clients on open connections to move to another replica; their requests are still answered. */
  readonly startDraining: () => void
  /** Tells it a client whose request came after that. */
  readonly sendAway: (outgoing: ServerResponse | Http2ServerResponse) => void
  readonly closeAllConnections: () => void
}

export interface ServerReports {
  readonly onUnwritten: OnUnwritten
  readonly onRefused: OnRefused
}

/** Creates a server for plain HTTP/1.1. */
export function createPlainServer(
  listener: RequestHandler,
  { onUnwritten, onRefused }: ServerReports,
): LimitedServer {
  const ServerResponse = createAnswerType(onUnwritten)
  const IncomingMessage = createRequestType()
  const server = createServer({ ...LIMITS, ServerResponse, IncomingMessage }, listener)
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', createMalformedAnswer(onRefused))
  server.on('checkExpectation', refuseExpectation)
  return {
    server,
    startDraining: () => undefined,
    sendAway: closeWhenAnswered,
    closeAllConnections: () => server.closeAllConnections(),
  }
}

/** Answers an `Expect` that is not `100-continue`. */
export function refuseExpectation(...[, outgoing]: Parameters<RequestHandler>): void {
  closeWhenAnswered(outgoing)
  answerStatus(417, outgoing)
}

/** Answers with nothing but a status. */
export function answerStatus(status: number, outgoing: ServerResponse | Http2ServerResponse): void {
  outgoing.statusCode = status
  outgoing.setHeader('Cache-Control', 'no-store')
  outgoing.end()
}

/** Makes an answer over HTTP/1.1 the last one of its connection. */
export function closeWhenAnswered(outgoing: ServerResponse | Http2ServerResponse): void {
  if (!(outgoing instanceof Http2ServerResponse)) outgoing.shouldKeepAlive = false
}
