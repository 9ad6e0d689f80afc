import type { Environment } from '../config/config.ts'
import { loadSettings } from '../config/load.ts'

/** Returns the origin of this machine's internal listener. Throws `ConfigError` for settings that cannot be used. */
export function internalListener(environment: Environment): string {
  const { HOST, INTERNAL_PORT } = loadSettings(environment, 'HOST', 'INTERNAL_PORT')
  return `http://${reachable(HOST)}:${INTERNAL_PORT}`
}

/** Replaces a wildcard address by loopback because nothing can connect to a wildcard. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
