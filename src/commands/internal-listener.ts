import type { Environment } from '../config/config.ts'
import { type InternalTlsFiles, internalTlsFilesOf } from '../config/internal-tls.ts'
import { loadSettings } from '../config/load.ts'

/**
 * Returns the origins at which this machine's internal listener may be reached, the likeliest first. Throws `ConfigError`
 * for settings that cannot be used.
 */
export function internalListeners(environment: Environment): readonly [string, ...string[]] {
  const { HOST, INTERNAL_PORT } = loadSettings(environment, 'HOST', 'INTERNAL_PORT')
  const scheme = internalTlsFiles(environment) ? 'https' : 'http'
  const originOf = (host: string) => `${scheme}://${host}:${INTERNAL_PORT}`
  const [first, ...further] = reachable(HOST)
  return [originOf(first), ...further.map(originOf)]
}

/**
 * Returns the files of the internal listener's TLS, or `undefined` without TLS. Does not look into them, because a
 * service that runs keeps those it read before they became unusable.
 */
export function internalTlsFiles(environment: Environment): InternalTlsFiles | undefined {
  return internalTlsFilesOf(
    loadSettings(
      environment,
      'INTERNAL_TLS_CERT_FILE',
      'INTERNAL_TLS_KEY_FILE',
      'INTERNAL_TLS_CLIENT_CA_FILE',
    ),
  )
}

/** Replaces a wildcard address by loopback, because nothing can connect to a wildcard. */
function reachable(host: string): readonly [string, ...string[]] {
  if (host === '0.0.0.0') return ['127.0.0.1']
  if (host === '::') return ['127.0.0.1', '[::1]']
  return [host.includes(':') ? `[${host}]` : host]
}
