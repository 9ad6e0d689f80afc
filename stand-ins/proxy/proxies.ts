import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from '../process.ts'
import { steadyPort } from '../steady-port.ts'
import {
  type GatewayOptions,
  type RunningGateway,
  startGatewayProgram,
  startStandInGateway,
  type WriteGatewayFiles,
  withoutPort,
} from './gateway.ts'
import { startTraefik } from './traefik.ts'

export const proxyKinds = ['stand-in', 'traefik', 'caddy'] as const
export type ProxyKind = (typeof proxyKinds)[number]
export type ProxyOptions = GatewayOptions

/** Returns why this proxy cannot be used here, or `undefined` when it can. */
export const proxyMissing = (kind: ProxyKind): string | undefined =>
  kind === 'stand-in' || findProgram(kind) ? undefined : `${kind} is not on PATH`

export const startProxy = async (
  kind: ProxyKind,
  options: ProxyOptions,
): Promise<RunningGateway> => {
  if (kind === 'stand-in') return startStandInGateway(options)
  const placed = { port: await steadyPort(), ...options }
  return kind === 'traefik'
    ? startTraefik(placed)
    : startGatewayProgram('caddy', placed, writeCaddyFile)
}

const writeCaddyFile: WriteGatewayFiles = async (folder, port, readyHost, options) => {
  if (options.scheme === 'https') throw new Error('Caddy is used with http only')
  const file = join(folder, 'Caddyfile')
  await writeFile(file, caddyFile(port, readyHost, options))
  return ['run', '--config', file, '--adapter', 'caddyfile']
}

/** Ends an address for the check without a query; else Caddy adds that of the visitor, which the check refuses. */
const NO_QUERY = '?'

/** Headers that the check needs, so that they cannot be removed before it. */
const CREDENTIALS = new Set(['Cookie', 'Authorization'])

/** Headers that a check may leave out; old versions of Caddy then send the text of the placeholder to the app. */
const NOT_ALWAYS_ANSWERED = new Set([...CREDENTIALS, 'X-Auth-Request-Access-Token'])

const caddyFile = (port: number, readyHost: string, options: ProxyOptions): string => {
  const { appUrl, vestibulePublicUrl, vestibuleCheckUrl, basePath = '/oauth2' } = options
  const check = new URL(vestibuleCheckUrl)
  const sites = options.hosts.map((host) => `http://${withoutPort(host)}:${port}`).join(', ')
  const names = options.authResponseHeaders
  const deleted = names.filter((name) => !CREDENTIALS.has(name))
  const copied = names.filter((name) => !NOT_ALWAYS_ANSWERED.has(name))
  return `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}

http://${readyHost}:${port} {
  bind 127.0.0.1
  respond "OK"
}

${sites} {
  bind 127.0.0.1
  route {
    reverse_proxy ${basePath}/* ${vestibulePublicUrl}
${deleted.map((name) => `    request_header -${name}`).join('\n')}
    forward_auth ${check.origin} {
      uri ${check.pathname}${check.search || NO_QUERY}
      copy_headers ${copied.join(' ')}
    }
    reverse_proxy ${appUrl}
  }
}
`
}
