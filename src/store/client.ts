import { createClient, RESP_TYPES } from 'redis'
import { DeadlineError } from './redis-failure.ts'

/** A server and how to be let in. */
export interface RedisTarget {
  readonly host: string
  readonly port: number
  readonly database: number
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

export type RedisClient = ReturnType<typeof createConfiguredClient>
/** Answers with bytes where `RedisClient` answers with text. */
export type BinaryClient = ReturnType<typeof binaryOf>

/** One connection from its beginning to its end; it never comes back, another takes its place. */
export interface ClientConnection {
  readonly client: RedisClient
  readonly binary: BinaryClient
  /** Rejects when it cannot be made within the time given. */
  readonly connected: Promise<void>
  /** Rejects with the cause when the connection ends; what waits for an answer is then rejected too. */
  readonly lost: Promise<never>
  drop(cause: Error): void
  readonly isOver: boolean
}

/** Commands beyond this are refused, so that a slow Redis costs a bounded amount of memory (fault F03). */
const MAX_QUEUED_COMMANDS = 10_000

/** Connects; a server that accepts and then says nothing counts as one that cannot be reached. */
export function openClient(target: RedisTarget, connectTimeoutMs: number): ClientConnection {
  const client = createConfiguredClient(target, connectTimeoutMs)
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined)
  let isOver = false
  const drop = (cause: Error) => {
    isOver = true
    lost.reject(cause)
    if (client.isOpen) client.destroy()
  }
  client.on('error', drop)
  const timer = setTimeout(() => drop(new DeadlineError()), connectTimeoutMs)
  const connected = Promise.race([client.connect(), lost.promise])
    .then(() => undefined)
    .finally(() => clearTimeout(timer))
  return {
    client,
    binary: binaryOf(client),
    connected,
    lost: lost.promise,
    drop,
    get isOver() {
      return isOver
    },
  }
}

/** No offline queue, no timers and no retries of its own: `connect.ts` decides on these for all commands. */
function createConfiguredClient(target: RedisTarget, connectTimeoutMs: number) {
  const { host, port, tls, database, username, password } = target
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
