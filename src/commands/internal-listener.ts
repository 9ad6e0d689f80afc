import type { Environment } from '../config/config.ts'

/** Where the service on this machine has its internal listener. */
export function internalListener(environment: Environment): string {
  const host = environment['HOST'] || '0.0.0.0'
  const port = environment['INTERNAL_PORT'] || '4181'
  return `http://${reachable(host)}:${port}`
}

/** A wildcard is no address to ask at; loopback belongs to it. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
