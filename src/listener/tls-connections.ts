import type { Http2Session } from 'node:http2'
import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { addressOf } from '../http/trusted-proxies.ts'
import { type BoundedSession, boundSession } from './http2-session.ts'
import { IDLE, LEAVING, LIMITS } from './limits.ts'
import type { OnRefused } from './refused-connection.ts'

/** Connection from the beginning of its handshake on, before that has told what it is. */
interface Connection {
  readonly raw: Socket
  readonly peer: string
  socket?: TLSSocket
  session?: BoundedSession
  /** Time at which an HTTP/2 connection is told to end. */
  readonly endsAtMs: number
  bytesSeen: number
  heardAtMs: number
  /** Ends the connection when its client does not. */
  leaving?: NodeJS.Timeout
  isSentAway?: boolean
}

/** Connections of a TLS listener. */
export type TlsConnections = ReturnType<typeof createTlsConnections>

export function createTlsConnections(onRefused: OnRefused, maxAgeMs: number) {
  const open = new Map<Socket, Connection>()
  let lookedAtMs = 0
  /** Connections over HTTP/1.1 that were made under another authority of client certificates. */
  const outdated = new WeakSet<object>()
  const find = (socket: Socket) => {
    const raw = rawOf(socket)
    return raw && open.get(raw)
  }

  function forget({ raw, leaving }: Connection): void {
    open.delete(raw)
    // Would keep all that belongs to the connection in memory.
    clearTimeout(leaving)
  }

  function closeIdle(): void {
    if (open.size <= IDLE.connections) return
    const nowMs = performance.now()
    if (nowMs - lookedAtMs < IDLE.lookMs) return
    lookedAtMs = nowMs
    const closed = surplusOf(open, nowMs)
    for (const connection of closed) leave(connection)
    const [first] = closed
    if (first) onRefused({ kind: 'idle', peer: first.peer, count: closed.length })
  }

  function add(raw: Socket): void {
    const nowMs = performance.now()
    const endsAtMs = nowMs + maxAgeMs * (1 - Math.random() / 3)
    open.set(raw, { raw, peer: addressOf(raw), endsAtMs, bytesSeen: 0, heardAtMs: nowMs })
    closeIdle()
  }

  /** Notes the end of the handshake; returns nothing where the connection is older than the authority in use. */
  function secure(socket: TLSSocket): Socket | undefined {
    const connection = find(socket)
    if (!connection || outdated.has(connection.raw)) return undefined
    connection.socket = socket
    socket.once('close', () => forget(connection))
    return connection.raw
  }

  function addSession(session: Http2Session): void {
    const connection = find(session.socket)
    if (!connection) return
    connection.session = boundSession(session, {
      onRefused: (cause) => onRefused({ kind: 'http2', peer: connection.peer, cause }),
      onTooMany: () => leave(connection),
    })
  }

  /** Forgets a connection whose handshake has failed, and returns it unless it was closed here. */
  function remove(socket: Socket): Connection | undefined {
    const connection = find(socket)
    if (!connection) return undefined
    const isLeaving = connection.leaving !== undefined
    forget(connection)
    return isLeaving ? undefined : connection
  }

  /** Closes connections whose handshakes are overdue or have not begun. */
  function drop(raws: readonly Socket[]): void {
    for (const raw of raws) {
      open.delete(raw)
      raw.destroy()
    }
    const [first] = raws
    if (first) onRefused({ kind: 'handshakes', peer: addressOf(first), count: raws.length })
  }

  /** Ends connections whose clients were accepted by an authority that is not in use any more. */
  function outdate(): void {
    for (const connection of open.values()) {
      outdated.add(connection.raw)
      if (connection.socket) outdated.add(connection.socket)
    }
    closeSessions()
  }

  function closeSessions(): void {
    for (const connection of open.values()) if (connection.session) leave(connection)
  }

  /** Ends the HTTP/2 connection of a request, at once or after a while. */
  function closeSession(session: Http2Session | undefined, afterMs = 0): void {
    const connection = session && !session.destroyed ? find(session.socket) : undefined
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

  const isOutdated = (socket: object) => outdated.has(socket)
  return {
    add,
    secure,
    addSession,
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

/** Ends a connection with its streams under way; a client that does not answer the farewell loses it later. */
function leave(connection: Connection): void {
  const { raw, socket, session } = connection
  if (connection.leaving) return
  session?.close()
  const end = () => (socket ?? raw).destroy()
  connection.leaving = setTimeout(end, session ? LEAVING.withinMs : 0).unref()
}

/** Returns whether an HTTP/2 connection ends; its own timer would keep a closed one in memory until it runs out (Node 26). */
function isOver(connection: Connection, nowMs: number): boolean {
  return nowMs >= connection.endsAtMs || silenceMs(connection, nowMs) > LIMITS.keepAliveTimeout
}

/** Returns the idle connections that are too many: first those that never asked, then those that were silent for longest. */
function surplusOf(open: ReadonlyMap<Socket, Connection>, nowMs: number): Connection[] {
  const silent = [...open.values()].filter((each) => isSilent(each, nowMs))
  const unasked = silent.filter((each) => !hasAsked(each))
  const asked = silent.filter(hasAsked).toSorted((one, other) => one.heardAtMs - other.heardAtMs)
  return [...unasked, ...asked].slice(0, open.size - IDLE.connections)
}

function isSilent(connection: Connection, nowMs: number): boolean {
  return silenceMs(connection, nowMs) > (hasAsked(connection) ? IDLE.askedMs : IDLE.unaskedMs)
}

/** Returns for how long a connection has said nothing; before its first request the handshake is not counted. */
function silenceMs(connection: Connection, nowMs: number): number {
  const { bytesRead } = connection.socket ?? connection.raw
  if (bytesRead !== connection.bytesSeen && hasAsked(connection)) {
    connection.bytesSeen = bytesRead
    connection.heardAtMs = nowMs
  }
  return nowMs - connection.heardAtMs
}

/** Returns whether a request has come; what was read before the end of the handshake is none. */
function hasAsked({ socket, session }: Connection): boolean {
  return session ? session.hasAsked() : socket !== undefined && socket.bytesRead > 0
}

/** Returns the socket below TLS; Node has no public name for it, and a test holds that it is there. */
function rawOf(socket: Socket): Socket | undefined {
  const raw: unknown = Reflect.get(socket, '_parent')
  return raw instanceof Socket ? raw : undefined
}
