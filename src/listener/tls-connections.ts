import type { Http2Session } from 'node:http2'
import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { addressOf } from '../http/trusted-proxies.ts'
import { boundSession } from './http2-session.ts'
import { IDLE } from './limits.ts'
import type { OnRefused } from './refused-connection.ts'
import {
  beginAnswer,
  isOver,
  leave,
  newConnection,
  surplusOf,
  type TlsConnection,
} from './tls-connection.ts'

/** Connections of a TLS listener. */
export type TlsConnections = ReturnType<typeof createTlsConnections>

export function createTlsConnections(onRefused: OnRefused, maxAgeMs: number) {
  const open = new Map<Socket, TlsConnection>()
  /** Connections by what their requests know of them: the socket over HTTP/1.1, the session over HTTP/2. */
  const asking = new WeakMap<object, TlsConnection>()
  let lookedAtMs = 0
  const find = (socket: Socket) => {
    const raw = rawOf(socket)
    return raw && open.get(raw)
  }

  function forget({ raw, leaving }: TlsConnection): void {
    open.delete(raw)
    // Would keep all that belongs to the connection in memory.
    clearTimeout(leaving)
  }

  function closeIdle(): void {
    if (open.size <= IDLE.connections) return
    const nowMs = performance.now()
    if (nowMs - lookedAtMs < IDLE.lookMs) return
    lookedAtMs = nowMs
    const closed = surplusOf(open.values(), nowMs)
    // A client that ignores the farewell must not stay beyond the bound.
    for (const connection of closed) leave(connection, IDLE.leaveMs)
    const [first] = closed
    if (first) onRefused({ kind: 'idle', peer: first.peer, count: closed.length })
  }

  function add(raw: Socket): void {
    open.set(raw, newConnection(raw, maxAgeMs))
    closeIdle()
  }

  /** Notes the end of the handshake; returns nothing where the connection is older than the authority in use. */
  function secure(socket: TLSSocket): Socket | undefined {
    const connection = find(socket)
    if (!connection) return undefined
    connection.socket = socket
    connection.heardAtMs = performance.now()
    asking.set(socket, connection)
    socket.once('close', () => forget(connection))
    return connection.isOutdated ? undefined : connection.raw
  }

  function addSession(session: Http2Session): void {
    const connection = find(session.socket)
    if (!connection) return
    asking.set(session, connection)
    connection.session = boundSession(session, {
      onRefused: (cause) => onRefused({ kind: 'http2', peer: connection.peer, cause }),
      onTooMany: () => leave(connection),
    })
  }

  /** Forgets a connection whose handshake has failed, and returns it unless it was closed here. */
  function remove(socket: Socket): TlsConnection | undefined {
    const connection = find(socket)
    if (!connection) return undefined
    const isLeaving = connection.leaving !== undefined
    forget(connection)
    return isLeaving ? undefined : connection
  }

  /** Closes connections whose handshakes are overdue or have not begun. */
  function drop(raws: readonly Socket[]): void {
    const [first] = raws
    if (!first) return
    onRefused({ kind: 'handshakes', peer: addressOf(first), count: raws.length })
    for (const raw of raws) {
      open.delete(raw)
      raw.destroy()
    }
  }

  /** Ends connections whose clients were accepted by an authority that is not in use any more. */
  function outdate(): void {
    for (const connection of open.values()) connection.isOutdated = true
    closeSessions()
  }

  function closeSessions(): void {
    for (const connection of open.values()) if (connection.session) leave(connection)
  }

  /** Ends the HTTP/2 connection of a request, at once or after a while. */
  function closeSession(session: Http2Session | undefined, afterMs = 0): void {
    const connection = session && asking.get(session)
    if (!connection || connection.isSentAway) return
    connection.isSentAway = true
    setTimeout(leave, afterMs, connection).unref()
  }

  /** Looks at all connections; called once a second. */
  function check(): void {
    const nowMs = performance.now()
    for (const connection of open.values()) {
      connection.session?.checkVolume()
      if (connection.session && isOver(connection, nowMs)) leave(connection)
    }
    closeIdle()
  }

  function destroyAll(): void {
    for (const { raw, socket } of open.values()) (socket ?? raw).destroy()
  }

  const isOutdated = (socket: Socket) => asking.get(socket)?.isOutdated === true
  const beginAnswerTo = (asked: object) => beginAnswer(asking.get(asked))
  return {
    add,
    secure,
    addSession,
    beginAnswerTo,
    remove,
    drop,
    isOutdated,
    outdate,
    closeSession,
    closeSessions,
    check,
    destroyAll,
  }
}

/** Returns the socket below TLS; Node has no public name for it, and a test holds that it is there. */
function rawOf(socket: Socket): Socket | undefined {
  const raw: unknown = Reflect.get(socket, '_parent')
  return raw instanceof Socket ? raw : undefined
}
