import { AuthError } from '../errors.ts'
import { DeadlineError, TopologyError } from './failure.ts'
import { createLifetime, type Lifetime } from './lifetime.ts'
import { createPendingReplies } from './pending-replies.ts'
import { readReplyError } from './reply-errors.ts'
import { asPromise, type ReplyHandler } from './reply-handler.ts'
import { ProtocolError, ServerFailure } from './server-failure.ts'
import { addressOf, type ServerAddress } from './target.ts'
import {
  createUnconnectedClient,
  decodeBuffers,
  isUndecodable,
  type Server,
} from './unconnected-client.ts'

export type RedisClient = ReturnType<typeof createUnconnectedClient>
/** Client that decodes bulk strings as buffers, where `RedisClient` decodes them as text. */
export type BinaryClient = ReturnType<typeof decodeBuffers>

/** Command to run on one of the two clients of a connection. */
export type Command<T> = (client: RedisClient, binary: BinaryClient) => Promise<T>

/** Key whose slot decides the server in a cluster; `undefined` for a command that any server can carry out. */
export type CommandKey = string | undefined

/** Single connection from connect to disconnect; a later one is another object. */
export interface ClientConnection {
  /** Sends a command, which fails with the cause as soon as the connection that carries it ends (fault F04). */
  send<T>(key: CommandKey, command: Command<T>, handler: ReplyHandler<T>): void
  /** The server itself, or the connected primaries of a cluster. */
  readonly primaries: readonly Primary[]
  /** False while some primary of a cluster is disconnected. */
  readonly isComplete: boolean
  /** Rejects with the cause when the connection ends. */
  readonly lost: Promise<never>
  readonly hasEnded: boolean
  /** Adds the server to a failure; returns it unchanged in a cluster, which has several. */
  readonly locate: (cause: unknown) => unknown
  drop(cause: unknown): void
  /** Drops the connection whose oldest command has waited longer than this; in a cluster, only that server's. */
  dropStalled(stalledAfterMs: number): void
}

/** Server that accepts writes. */
export interface Primary {
  readonly address: string
  readonly isInCluster: boolean
  /** Returns whether the key's slot belongs to this server. */
  readonly owns: (key: string) => boolean
  readonly run: <T>(command: Command<T>) => Promise<T>
}

/** Opens a connection; `signal` ends the attempt, and later the connection, with its reason. */
export type OpenConnection = (
  signal: AbortSignal,
  observer: PrimariesObserver,
) => Promise<ClientConnection>

/** Callbacks for the single primaries of a cluster. */
export interface PrimariesObserver {
  /** Called when a connection to a primary was lost or an attempt failed. */
  readonly onPrimaryLost: (cause: unknown) => void
  /** Called when a primary is connected after the cluster was opened: one that is back, or a new one. */
  readonly onPrimaryConnected?: () => void
  /** Called when all primaries are connected again. */
  readonly onAllConnected: () => void
}

/**
 * Connects to one server, by RESP2 where it does not know HELLO, as Redis 5 and some proxies (finding C54); `signal`
 * ends the connection with its reason, also after it is open. Throws when the server accepts the connection and then
 * does not answer within `connectTimeoutMs`.
 */
export async function openClient(
  server: Server,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<ClientConnection> {
  try {
    return await openWith(3, server, connectTimeoutMs, signal)
  } catch (cause) {
    const failure = readReplyError(cause)?.failure
    if (failure !== 'unsupported' && failure !== 'other') throw cause
    return openOlder(server, connectTimeoutMs, signal)
  }
}

/** Sends a command once connected, because a missing password shows in the first reply only. */
async function openOlder(
  server: Server,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const opened = await openWith(2, server, connectTimeoutMs, signal)
  try {
    await runOrDrop(opened, connectTimeoutMs, (client) => client.ping())
  } catch (cause) {
    const reply = readReplyError(cause)
    if (reply && reply.failure !== 'auth') return opened
    opened.drop(cause)
    throw opened.locate(cause)
  }
  return opened
}

async function openWith(
  protocol: 2 | 3,
  server: Server,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const lifetime = createLifetime(signal)
  const client = createUnconnectedClient(server, connectTimeoutMs, protocol)
  let isGreeting = true
  const { host, port, tls, namedBy = 'REDIS_ADDRESS' } = server
  const locate = (cause: unknown) =>
    new ServerFailure({ host, port, namedBy, isTls: tls !== undefined, isGreeting }, cause)
  const connection = createConnection({ host, port, client, lifetime, locate })
  endTogether(client, lifetime, locate)
  try {
    await runOrDrop(connection, connectTimeoutMs, (opening) => opening.connect())
  } catch (cause) {
    lifetime.end(cause)
    throw cause
  }
  isGreeting = false
  return connection
}

interface ConnectionParts extends ServerAddress {
  readonly client: RedisClient
  readonly lifetime: Lifetime
  readonly locate: (cause: unknown) => ServerFailure
}

function createConnection(parts: ConnectionParts): ClientConnection {
  const { host, port, client, lifetime } = parts
  const isKnown = (cause: unknown) =>
    [AuthError, ServerFailure, TopologyError].some((known) => cause instanceof known)
  const locate = (cause: unknown) => (isKnown(cause) ? cause : parts.locate(cause))
  const pending = createPendingReplies(lifetime.signal, locate)
  const binary = decodeBuffers(client)
  const only: Primary = {
    address: addressOf({ host, port }),
    isInCluster: false,
    owns: () => true,
    run: (command) => pending.run(() => command(client, binary)),
  }
  return {
    locate,
    send: (_, command, handler) => pending.send(() => command(client, binary), handler),
    primaries: [only],
    isComplete: true,
    lost: lifetime.lost,
    get hasEnded() {
      return lifetime.hasEnded
    },
    drop: lifetime.end,
    dropStalled(stalledAfterMs) {
      if (pending.measureOldestMs() > stalledAfterMs) lifetime.end(locate(new DeadlineError()))
    },
  }
}

/** Ends the lifetime at the client's first error, and destroys the client at the lifetime's end. */
function endTogether(
  client: RedisClient,
  lifetime: Lifetime,
  locate: (cause: unknown) => ServerFailure,
): void {
  lifetime.signal.addEventListener('abort', () => client.destroy())
  client.on('error', (cause: unknown) =>
    lifetime.end(locate(isUndecodable(cause) ? new ProtocolError(cause) : cause)),
  )
  // node-redis 6.3.1 goes on connecting a client that was destroyed meanwhile, and leaves the connection open.
  client.on('connect', () => {
    if (lifetime.hasEnded) client.destroy()
  })
}

/** Runs a command and drops the connection when the reply takes longer than `timeoutMs`. */
export async function runOrDrop<T>(
  connection: ClientConnection,
  timeoutMs: number,
  command: (client: RedisClient) => Promise<T>,
): Promise<T> {
  let afterRead: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    // Lets the event loop read the sockets once more, because a busy process may not have read the reply yet.
    afterRead = setImmediate(() => connection.drop(connection.locate(new DeadlineError())))
  }, timeoutMs)
  try {
    return await asPromise<T>((handler) => connection.send(undefined, command, handler))
  } finally {
    clearTimeout(timer)
    clearImmediate(afterRead)
  }
}
