import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest } from 'node:http2'
import type { Socket } from 'node:net'

/**
 * Returns the object that stands for the connection of a request, by which facts about its peer are kept. Over HTTP/2 that
 * is the session, because `socket` is another object for each stream.
 */
export function connectionOf(raw: IncomingMessage | Http2ServerRequest): object {
  return raw instanceof Http2ServerRequest ? (raw.stream.session ?? raw.socket) : raw.socket
}

/** Returns the socket of a request's connection. */
export function socketOf(raw: IncomingMessage): Socket {
  return (raw instanceof Http2ServerRequest ? raw.stream.session?.socket : undefined) ?? raw.socket
}
