import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { addressOf } from '../http/trusted-proxies.ts'
import { type BoundedSession, boundSession } from './http2-session.ts'
import { MAX_IDLE_TLS_CONNECTIONS } from './limits.ts'
import type { OnRefused } from './refused-connection.ts'

/** Connection from its first packet on, before the handshake has told what it is. */
interface Connection {
  readonly raw: Socket
  readonly peer: string
  socket?: TLSSocket
  session?: BoundedSession
  bytesSeen: number
  isLeaving?: boolean
}

/** Connections of a TLS listener. */
export type TlsConnections = ReturnType<typeof createTlsConnections>

export function createTlsConnections(onRefused: OnRefused) {
  const open = new Map<Socket, Connection>()
  /** Connections over HTTP/1.1 that were made under another authority of client certificates. */
  const outdated = new WeakSet<object>()
  const find = (socket: Socket) => {
    const raw = rawOf(socket)
    return raw && open.get(raw)
  }
  const sessions = () => [...open.values()].flatMap(({ session }) => session ?? [])

  /** Ends an idle connection; one whose client does not answer the farewell has had the time since the last look. */
  function close(connection: Connection): void {
    const { raw, session } = connection
    if (!session || connection.isLeaving) raw.destroy()
    else session.close()
    connection.isLeaving = true
  }

  /** Closes connections that were silent since the last look until few enough are left, first those that never asked. */
  function closeIdle(): void {
    const silent = [...open.values()].filter((each) => bytesOf(each) === each.bytesSeen)
    const [asked, unasked] = [silent.filter(hasAsked), silent.filter((each) => !hasAsked(each))]
    const closed = [...unasked, ...asked].slice(0, open.size - MAX_IDLE_TLS_CONNECTIONS)
    for (const connection of open.values()) connection.bytesSeen = bytesOf(connection)
    for (const connection of closed) close(connection)
    const [first] = closed
    if (first) onRefused({ kind: 'idle', peer: first.peer, count: closed.length })
  }

  return {
    add(raw: Socket): void {
      open.set(raw, { raw, peer: addressOf(raw), bytesSeen: 0 })
    },
    /** Notes the end of the handshake; returns false where the connection is older than the authority in use. */
    secure(socket: TLSSocket): boolean {
      const connection = find(socket)
      if (!connection || outdated.has(connection.raw)) return false
      connection.socket = socket
      socket.once('close', () => open.delete(connection.raw))
      return true
    },
    addSession(session: Http2Session): void {
      const connection = find(session.socket)
      if (!connection) return
      connection.session = boundSession(session, (cause) => {
        onRefused({ kind: 'http2', peer: connection.peer, cause })
      })
    },
    /** Forgets a connection whose handshake has failed, and returns what is known of it. */
    remove(socket: Socket): Connection | undefined {
      const connection = find(socket)
      if (connection) open.delete(connection.raw)
      return connection
    },
    find,
    isOutdated: (socket: object) => outdated.has(socket),
    /** Ends connections whose clients were accepted by an authority that is not in use any more. */
    outdate(): void {
      for (const connection of open.values()) {
        outdated.add(connection.raw)
        if (connection.socket) outdated.add(connection.socket)
        connection.session?.close()
      }
    },
    closeSessions(): void {
      for (const session of sessions()) session.close()
    },
    /** Looks at all connections; called once a second. */
    check(): void {
      for (const session of sessions()) session.checkVolume()
      if (open.size > MAX_IDLE_TLS_CONNECTIONS) closeIdle()
    },
    destroyAll(): void {
      for (const { raw, socket } of open.values()) (socket ?? raw).destroy()
    },
  }
}

function bytesOf({ raw, socket }: Connection): number {
  return (socket ?? raw).bytesRead
}

/** Returns whether a request has come; what was read before the end of the handshake is none. */
function hasAsked({ socket, session }: Connection): boolean {
  return session ? session.hasAsked() : socket !== undefined && socket.bytesRead > 0
}

/** Returns the socket below TLS; Node has no public name for it, and a test holds that it is there. */
function rawOf(socket: Socket): Socket | undefined {
  return (socket as Socket & { readonly _parent?: Socket })._parent
}
