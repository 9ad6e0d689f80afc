import { createClient, RESP_TYPES } from 'redis'
import { DeadlineError } from './failure.ts'
import { createLifetime } from './lifetime.ts'
import { createUnanswered } from './unanswered.ts'

/** Where Redis is and how to be let in. */
export type RedisTarget = SingleTarget | SentinelTarget | ClusterTarget

/** One server, the same all the time. */
export interface SingleTarget extends ServerAddress, Access {
  readonly kind: 'single'
  readonly database: number
}

/** The primary that Sentinels name. */
export interface SentinelTarget extends Access {
  readonly kind: 'sentinel'
  readonly sentinels: readonly ServerAddress[]
  readonly sentinelUsername?: string
  readonly sentinelPassword?: string
  /** The name under which the Sentinels watch it. */
  readonly primaryName: string
  readonly database: number
}

/** All primaries of a Redis Cluster; some of its servers are enough to find them. */
export interface ClusterTarget extends Access {
  readonly kind: 'cluster'
  readonly servers: readonly ServerAddress[]
}

export interface ServerAddress {
  readonly host: string
  readonly port: number
}

export interface Access {
  readonly username?: string
  readonly password?: string
  /** Absent = no TLS. */
  readonly tls?: RedisTls
}

/** PEM texts, as Node's TLS takes them. */
export interface RedisTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly skipVerify: boolean
}

export type RedisClient = ReturnType<typeof createUnconnectedClient>
/** Answers with bytes where `RedisClient` answers with text. */
export type BinaryClient = ReturnType<typeof binaryOf>

/** One command to run. */
export type Command<T> = (client: RedisClient, binary: BinaryClient) => Promise<T>

/** Key by which a cluster finds the server; `undefined` for a command that any server can carry out. */
export type CommandKey = string | undefined

/** One connection from its beginning to its end; it never comes back, another takes its place. */
export interface ClientConnection {
  /** Runs a command; rejects at once with the cause when the connection that carries it ends (fault F04). */
  run<T>(key: CommandKey, command: Command<T>): Promise<T>
  /** The server, or those of a cluster that can be asked just now. */
  readonly primaries: readonly Primary[]
  /** False while some primary of a cluster is away. */
  readonly isWhole: boolean
  /** Rejects with the cause when the connection ends. */
  readonly lost: Promise<never>
  readonly isOver: boolean
  drop(cause: unknown): void
  /** Drops the connection, in a cluster only that server's, whose oldest command has waited for longer. */
  dropStalled(stalledAfterMs: number): void
}

/** A server that takes writes. */
export interface Primary {
  readonly address: string
  readonly isInCluster: boolean
  readonly owns: (key: string) => boolean
  readonly run: <T>(command: Command<T>) => Promise<T>
}

interface Server extends ServerAddress, Access {
  readonly database: number
}

/** Commands beyond this are refused, so that a slow Redis costs a bounded amount of memory (fault F03). */
const MAX_QUEUED_COMMANDS = 10_000

/**
 * Connects; a server that accepts and then says nothing counts as one that cannot be reached. `signal` ends the
 * connection with its reason, also later on.
 */
export async function openClient(
  server: Server,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const life = createLifetime(signal)
  const unanswered = createUnanswered(life.signal)
  const client = createUnconnectedClient(server, connectTimeoutMs)
  const binary = binaryOf(client)
  life.signal.addEventListener('abort', () => client.destroy())
  client.on('error', life.end)
  // node-redis 6.3.1 goes on connecting a client that is destroyed meanwhile and keeps the connection open.
  client.on('connect', () => {
    if (life.isOver) client.destroy()
  })
  const run = <T>(command: Command<T>) => unanswered.run(() => command(client, binary))
  const only: Primary = {
    address: addressOf(server),
    isInCluster: false,
    owns: () => true,
    run,
  }
  const connection: ClientConnection = {
    run: (_, command) => run(command),
    primaries: [only],
    isWhole: true,
    lost: life.lost,
    get isOver() {
      return life.isOver
    },
    drop: life.end,
    dropStalled(stalledAfterMs) {
      if (unanswered.isOlderThan(stalledAfterMs)) life.end(new DeadlineError())
    },
  }
  try {
    await answerOf(connection, connectTimeoutMs, (opening) => opening.connect())
  } catch (cause) {
    life.end(cause)
    throw cause
  }
  return connection
}

/** The answer; without one in time the connection is dropped. */
export async function answerOf<T>(
  connection: ClientConnection,
  timeoutMs: number,
  ask: (client: RedisClient) => Promise<T>,
): Promise<T> {
  let lastChance: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    // Where this process was busy, the answer may lie unread in the socket: it is read before this comes.
    lastChance = setImmediate(() => connection.drop(new DeadlineError()))
  }, timeoutMs)
  try {
    return await connection.run(undefined, ask)
  } finally {
    clearTimeout(timer)
    clearImmediate(lastChance)
  }
}

/** `host:port`, the name of a server in Redis's own replies. */
export function addressOf({ host, port }: ServerAddress): string {
  return `${host}:${port}`
}

/** No offline queue, no timers and no retries of its own: `connect.ts` decides on these for all commands. */
function createUnconnectedClient(server: Server, connectTimeoutMs: number) {
  const { host, port, tls, database, username, password } = server
  const common = { host, port, connectTimeout: connectTimeoutMs, reconnectStrategy: false } as const
  return createClient({
    socket: tls ? { ...common, ...tlsOptions(host, tls) } : common,
    database,
    name: 'vestibule',
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    commandsQueueMaxLength: MAX_QUEUED_COMMANDS,
    commandOptions: { timeout: 0 },
  })
}

function tlsOptions(host: string, { skipVerify, ...files }: RedisTls) {
  // Node sends no server name by itself for this socket; an address is not allowed as one (RFC 6066 section 3).
  const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
  return { tls: true, rejectUnauthorized: !skipVerify, ...servername, ...files } as const
}

function binaryOf(client: RedisClient) {
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
}
