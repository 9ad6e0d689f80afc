import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { addressOf } from '../http/trusted-proxies.ts'
import type { BoundedSession } from './http2-session.ts'
import { IDLE, LEAVING, LIMITS } from './limits.ts'

/** Connection from the beginning of its handshake on, before that has told what it is. */
export interface TlsConnection {
  readonly raw: Socket
  readonly peer: string
  socket?: TLSSocket
  session?: BoundedSession
  /** Time at which an HTTP/2 connection is told to end. */
  readonly endsAtMs: number
  /** Number of requests without an answer. */
  underWay: number
  bytesSeen: number
  heardAtMs: number
  /** Whether it was made under an authority of client certificates that is not in use any more. */
  isOutdated: boolean
  isSentAway?: boolean
  /** Ends the connection when its client does not. */
  leaving?: NodeJS.Timeout
}

export function newConnection(raw: Socket, maxAgeMs: number): TlsConnection {
  const nowMs = performance.now()
  return {
    raw,
    peer: addressOf(raw),
    endsAtMs: nowMs + maxAgeMs * (1 - Math.random() / 3),
    underWay: 0,
    bytesSeen: 0,
    heardAtMs: nowMs,
    isOutdated: false,
  }
}

/** Notes a request under way, during which its connection is not idle; returns what notes the end of its answer. */
export function beginAnswer(connection: TlsConnection | undefined): () => void {
  if (!connection) return () => undefined
  connection.underWay += 1
  return () => {
    connection.underWay -= 1
  }
}

/** Ends a connection with its streams under way; a client that does not answer the farewell loses it later. */
export function leave(connection: TlsConnection, withinMs: number = LEAVING.withinMs): void {
  const { raw, socket, session } = connection
  if (connection.leaving) return
  session?.close()
  const end = () => (socket ?? raw).destroy()
  connection.leaving = setTimeout(end, session ? withinMs : 0).unref()
}

/**
 * Returns whether an HTTP/2 connection ends. A timer of its session would keep the session in memory after its end, until
 * it runs out (Node 26).
 */
export function isOver(connection: TlsConnection, nowMs: number): boolean {
  return nowMs >= connection.endsAtMs || silenceMs(connection, nowMs) > LIMITS.keepAliveTimeout
}

/** Returns the idle connections that are too many: first those that never asked, then those that were silent for longest. */
export function surplusOf(open: Iterable<TlsConnection>, nowMs: number): TlsConnection[] {
  const staying = [...open].filter(({ leaving }) => leaving === undefined)
  const idle = staying.filter((each) => isIdle(each, nowMs))
  const unasked = idle.filter((each) => !hasAsked(each))
  const asked = idle.filter(hasAsked).toSorted((one, other) => one.heardAtMs - other.heardAtMs)
  return [...unasked, ...asked].slice(0, Math.max(0, staying.length - IDLE.connections))
}

function isIdle(connection: TlsConnection, nowMs: number): boolean {
  const idleMs = hasAsked(connection) ? IDLE.askedMs : IDLE.unaskedMs
  return connection.underWay === 0 && silenceMs(connection, nowMs) > idleMs
}

/** Returns for how long a connection has said nothing; before its first request only the handshake's end is counted. */
function silenceMs(connection: TlsConnection, nowMs: number): number {
  const { bytesRead } = connection.socket ?? connection.raw
  if (bytesRead !== connection.bytesSeen && hasAsked(connection)) {
    connection.bytesSeen = bytesRead
    connection.heardAtMs = nowMs
  }
  return nowMs - connection.heardAtMs
}

/** Returns whether a request has come; what was read before the end of the handshake is none. */
function hasAsked({ socket, session }: TlsConnection): boolean {
  return session ? session.hasAsked() : socket !== undefined && socket.bytesRead > 0
}
