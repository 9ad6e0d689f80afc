import { createClient, RESP_TYPES } from 'redis'
import type { RedisTls, ServerAccess, ServerAddress } from './target.ts'

/** Server to connect to. */
export interface Server extends ServerAddress, ServerAccess {
  readonly database: number
  /** Setting or party that gave the address; by default, `REDIS_ADDRESS`. */
  readonly namedBy?: string
}

/** Bounds the memory that a slow Redis costs: commands beyond this are refused (fault F03). */
const MAX_QUEUED_COMMANDS = 10_000

/** Switches off node-redis's own queue, timers and retries, because `connection.ts` handles them for all commands. */
export function createUnconnectedClient(server: Server, connectTimeoutMs: number, protocol: 2 | 3) {
  const { host, port, tls, database, username, password, clientName = 'vestibule' } = server
  const common = { host, port, connectTimeout: connectTimeoutMs, reconnectStrategy: false } as const
  return createClient({
    socket: tls ? { ...common, ...tlsOptions(host, tls) } : common,
    database,
    // Leaves out the name under RESP2, because a server without HELLO may not know CLIENT either.
    ...(protocol === 3 ? { name: clientName } : { RESP: 2 as const }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    commandsQueueMaxLength: MAX_QUEUED_COMMANDS,
    commandOptions: { timeout: 0 },
  })
}

function tlsOptions(host: string, { skipVerify, serverName, ...files }: RedisTls) {
  // Sets SNI, which Node does not send for this socket by itself; IP addresses are not allowed (RFC 6066 section 3).
  const name = serverName ?? host
  const servername = /^[\d.]+$|:/.test(name) ? {} : { servername: name }
  return { tls: true, rejectUnauthorized: !skipVerify, ...servername, ...files } as const
}

/** Returns the client as one that decodes bulk strings as buffers. */
export function decodeBuffers(client: ReturnType<typeof createUnconnectedClient>) {
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
}

/** Returns whether the decoder of node-redis threw: for bytes that are no reply, or for a reply to no command. */
export function isUndecodable(cause: unknown): boolean {
  if (!(cause instanceof Error) || 'code' in cause) return false
  return (
    cause.message.startsWith('Unknown RESP type') ||
    DECODER_FAULTS.some((each) => cause instanceof each)
  )
}

const DECODER_FAULTS = [TypeError, RangeError, SyntaxError]
