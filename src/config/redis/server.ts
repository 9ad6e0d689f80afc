import { ValueError } from '../config-error.ts'

export interface RedisServer {
  readonly host: string
  readonly port: number
}

/** Content of a Redis address; everything else has a setting of its own. */
export interface RedisAddress {
  /** More than one only for a cluster. */
  readonly servers: readonly [RedisServer, ...RedisServer[]]
  readonly isTls: boolean
  readonly username?: string
  readonly password?: string
  readonly database?: number
  /** Name that the certificate must be valid for, where it is not the host's. */
  readonly tlsServerName?: string
  /** Name of the connection in `CLIENT LIST`. */
  readonly clientName?: string
  readonly connectTimeoutMs?: number
  /** Time limit of a command outside the check. */
  readonly commandTimeoutMs?: number
  /** Options of StackExchange.Redis that have no counterpart and need none. */
  readonly ignoredOptions?: readonly string[]
}

/** Parses `host:port`, or `host` with the default port. Throws `ValueError`. */
export function parseServer(endpoint: string, defaultPort: number): RedisServer {
  const groups =
    /^(?:\[(?<v6>[0-9a-f:]+)\]|(?<name>[A-Za-z0-9._-]+))\s*(?::\s*(?<port>\d{1,5}))?$/i.exec(
      endpoint,
    )?.groups
  const host = groups?.['v6'] ?? groups?.['name']
  const port = Number(groups?.['port'] ?? defaultPort)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new ValueError('does not begin with host:port')
  }
  return { host, port }
}
