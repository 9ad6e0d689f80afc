import type { Environment } from '../config/config.ts'

/** Returns the origin of this machine's internal listener. */
export function internalListener(environment: Environment): string {
  const host = environment['HOST'] || '0.0.0.0'
  const port = environment['INTERNAL_PORT'] || '4181'
  return `http://${reachable(host)}:${port}`
}

/** Replaces a wildcard address by loopback because nothing can connect to a wildcard. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
