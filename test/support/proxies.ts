import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'yaml'
import { type ForwardAuth, type RunningProxy, startStandIn } from '../../demo/proxy.ts'
import { findProgram, freePort, type RunningProcess, startProcess } from './process.ts'

export const proxyKinds = ['stand-in', 'traefik', 'caddy'] as const
export type ProxyKind = (typeof proxyKinds)[number]

export interface ProxyOptions {
  /** Protected hosts without scheme; a port is ignored. */
  readonly hosts: readonly string[]
  readonly vestibulePublicUrl: string
  /** With its path: `http://127.0.0.1:4181/auth`. */
  readonly vestibuleCheckUrl: string
  readonly appUrl: string
  readonly authResponseHeaders: readonly string[]
  readonly addAuthCookies?: readonly string[]
  readonly basePath?: string
  readonly port?: number
  /** With `https` Traefik serves TLS with its own certificate, and the stand-in only says so. Not for Caddy. */
  readonly scheme?: 'http' | 'https'
  readonly underscoreHeadersStrategy?: 'keep' | 'delete' | 'reject'
  /** Further options of Traefik's `forwardAuth`. Not for Caddy. */
  readonly forwardAuth?: Omit<
    ForwardAuth,
    'address' | 'authResponseHeaders' | 'addAuthCookiesToResponse'
  >
  /** Also protects the sign-in router, a mistake that operators make. */
  readonly protectSignIn?: boolean
}

/** Why this proxy cannot be used here, or `undefined` when it can. */
export const proxyMissing = (kind: ProxyKind): string | undefined =>
  kind === 'stand-in' || findProgram(kind) ? undefined : `${kind} is not on PATH`

export const startProxy = async (kind: ProxyKind, options: ProxyOptions): Promise<RunningProxy> => {
  if (kind === 'stand-in') return startStandInFor(options)
  const program = findProgram(kind)
  if (!program) throw new Error(`${kind} is not on PATH`)
  const port = options.port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), `vestibule-${kind}-`))
  const write = kind === 'traefik' ? writeTraefikFiles : writeCaddyFile
  const args = await write(folder, port, options)
  const running = startProcess(program, args, {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      XDG_DATA_HOME: folder,
      XDG_CONFIG_HOME: folder,
    },
  })
  const close = async (): Promise<void> => {
    // Traefik takes two seconds to stop politely, and has nothing to save.
    await running.stop('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await untilReady(running, port, options.scheme === 'https' ? 'https' : 'http')
  } catch (error) {
    await close()
    throw error
  }
  const scheme = kind === 'traefik' ? (options.scheme ?? 'http') : 'http'
  return { origin: `${scheme}://127.0.0.1:${port}`, close, [Symbol.asyncDispose]: close }
}

const withoutPort = (host: string): string => host.replace(/:\d+$/, '')

const startStandInFor = async (options: ProxyOptions): Promise<RunningProxy> => {
  const { appUrl, vestibulePublicUrl, basePath = '/oauth2' } = options
  const forwardAuth = forwardAuthOf(options)
  const routes = options.hosts.map(withoutPort).flatMap((host) => [
    { host, backend: appUrl, forwardAuth },
    {
      host,
      pathPrefix: `${basePath}/`,
      backend: vestibulePublicUrl,
      ...(options.protectSignIn && { forwardAuth }),
    },
  ])
  return startStandIn({
    routes,
    ...(options.port && { port: options.port }),
    ...(options.scheme && { scheme: options.scheme }),
    ...(options.underscoreHeadersStrategy && {
      underscoreHeadersStrategy: options.underscoreHeadersStrategy,
    }),
  })
}

const forwardAuthOf = (options: ProxyOptions): ForwardAuth => ({
  ...options.forwardAuth,
  address: options.vestibuleCheckUrl,
  authResponseHeaders: options.authResponseHeaders,
  addAuthCookiesToResponse: options.addAuthCookies ?? [],
})

const READY_HOST = 'ready.invalid'

const writeTraefikFiles = async (
  folder: string,
  port: number,
  options: ProxyOptions,
): Promise<readonly string[]> => {
  const staticFile = join(folder, 'static.yml')
  const dynamicFile = join(folder, 'dynamic.yml')
  await writeFile(dynamicFile, stringify(traefikDynamic(options)))
  await writeFile(staticFile, stringify(traefikStatic(dynamicFile, port, options)))
  return [`--configFile=${staticFile}`]
}

const traefikStatic = (dynamicFile: string, port: number, options: ProxyOptions) => ({
  global: { checkNewVersion: false, sendAnonymousUsage: false },
  log: { level: 'WARN' },
  entryPoints: {
    web: {
      address: `127.0.0.1:${port}`,
      http: {
        underscoreHeadersStrategy: options.underscoreHeadersStrategy ?? 'keep',
        ...(options.scheme === 'https' && { tls: {} }),
      },
      transport: { lifeCycle: { graceTimeOut: 0 } },
    },
  },
  ping: { manualRouting: true },
  providers: { file: { filename: dynamicFile, watch: false } },
})

const traefikDynamic = (options: ProxyOptions) => {
  const { appUrl, vestibulePublicUrl, basePath = '/oauth2' } = options
  const host = options.hosts.map(hostMatcher).join(' || ')
  const signInMiddlewares = options.protectSignIn ? { middlewares: ['vestibule'] } : {}
  return {
    http: {
      routers: {
        ready: { rule: `Host(\`${READY_HOST}\`)`, service: 'ping@internal', priority: 1000 },
        app: { rule: host, service: 'app', priority: 10, middlewares: ['vestibule'] },
        'sign-in': {
          rule: `(${host}) && PathPrefix(\`${basePath}/\`)`,
          service: 'vestibule',
          priority: 100,
          ...signInMiddlewares,
        },
      },
      middlewares: {
        vestibule: { forwardAuth: { ...forwardAuthOf(options), trustForwardHeader: true } },
      },
      services: {
        app: { loadBalancer: { servers: [{ url: appUrl }] } },
        vestibule: { loadBalancer: { servers: [{ url: vestibulePublicUrl }] } },
      },
    },
  }
}

const hostMatcher = (host: string): string => {
  const name = withoutPort(host)
  if (!name.startsWith('*')) return `Host(\`${name}\`)`
  return `HostRegexp(\`^[^.]+${name.slice(1).replaceAll('.', '\\.')}$\`)`
}

const writeCaddyFile = async (
  folder: string,
  port: number,
  options: ProxyOptions,
): Promise<readonly string[]> => {
  const file = join(folder, 'Caddyfile')
  await writeFile(file, caddyFile(port, options))
  return ['run', '--config', file, '--adapter', 'caddyfile']
}

const caddyFile = (port: number, options: ProxyOptions): string => {
  const { appUrl, vestibulePublicUrl, vestibuleCheckUrl, basePath = '/oauth2' } = options
  const check = new URL(vestibuleCheckUrl)
  const sites = options.hosts.map((host) => `http://${withoutPort(host)}:${port}`).join(', ')
  const names = options.authResponseHeaders
  return `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}

http://${READY_HOST}:${port} {
  bind 127.0.0.1
  respond "OK"
}

${sites} {
  bind 127.0.0.1
  route {
    reverse_proxy ${basePath}/* ${vestibulePublicUrl}
${names.map((name) => `    request_header -${name}`).join('\n')}
    forward_auth ${check.origin} {
      uri ${check.pathname}
      copy_headers ${names.join(' ')}
    }
    reverse_proxy ${appUrl}
  }
}
`
}

const READY_WITHIN_MS = 30_000

const untilReady = async (
  running: RunningProcess,
  port: number,
  scheme: 'http' | 'https',
): Promise<void> => {
  const deadlineMs = performance.now() + READY_WITHIN_MS
  while (performance.now() < deadlineMs) {
    if (running.child.exitCode !== null) break
    if ((await readyStatus(port, scheme)) === 200) return
    await wait(50)
  }
  throw new Error(`the proxy did not get ready:\n${running.output()}`)
}

const readyStatus = async (port: number, scheme: 'http' | 'https'): Promise<number | undefined> => {
  const open = scheme === 'https' ? requestTls : request
  const status = Promise.withResolvers<number | undefined>()
  open({
    port,
    host: '127.0.0.1',
    headers: { Host: `${READY_HOST}:${port}` },
    rejectUnauthorized: false,
    agent: false,
  })
    .on('response', (response) => {
      response.resume()
      status.resolve(response.statusCode)
    })
    .on('error', () => status.resolve(undefined))
    .end()
  return status.promise
}
