import { ValueError } from '../config-error.ts'

export interface RedisServer {
  readonly host: string
  readonly port: number
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
