import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findProgram, freePort, type RunningProcess, startProcess } from '../process.ts'
import type { ForwardAuth } from './forward-auth.ts'
import { type RunningProxy, startStandIn } from './proxy.ts'

/** One app behind one Vestibule, for any of the proxies. */
export interface GatewayOptions {
  /** Protected hosts without scheme; a port is ignored. */
  readonly hosts: readonly string[]
  readonly vestibulePublicUrl: string
  /** Includes the path: `http://127.0.0.1:4181/auth`. */
  readonly vestibuleCheckUrl: string
  readonly appUrl: string
  readonly authResponseHeaders: readonly string[]
  readonly addAuthCookies?: readonly string[]
  readonly basePath?: string
  readonly port?: number
  /** `https` makes Traefik serve TLS with its own certificate; the stand-in only claims it. Not for Caddy. */
  readonly scheme?: 'http' | 'https'
  readonly underscoreHeadersStrategy?: 'keep' | 'delete' | 'reject'
  /** Further options of Traefik's `forwardAuth`. Not for Caddy. */
  readonly forwardAuth?: Omit<
    ForwardAuth,
    'address' | 'authResponseHeaders' | 'addAuthCookiesToResponse'
  >
  /** Files with which Traefik's `forwardAuth` speaks TLS to the check. */
  readonly checkTls?: { readonly ca: string; readonly cert?: string; readonly key?: string }
  /** Also protects the sign-in router, a mistake that operators make. Not for Caddy. */
  readonly protectSignIn?: boolean
  /** Options of Traefik's `compress`, which all routers then use. Only for Traefik. */
  readonly compress?: object
  /** Time limits of Traefik's entry point. Only for Traefik. */
  readonly respondingTimeouts?: Readonly<Record<string, string>>
}

export interface RunningGateway extends RunningProxy {
  /** Settles when the process of a proxy ends by itself. */
  readonly exited?: Promise<unknown>
}

/** Writes the files of a proxy. `readyHost` must answer 200 as soon as all routes are in force. */
export type WriteGatewayFiles = (
  folder: string,
  port: number,
  readyHost: string,
  options: GatewayOptions,
) => Promise<readonly string[]>

export const withoutPort = (host: string): string => host.replace(/:\d+$/, '')

export const forwardAuthOf = (options: GatewayOptions): ForwardAuth => ({
  ...options.forwardAuth,
  address: options.vestibuleCheckUrl,
  authResponseHeaders: options.authResponseHeaders,
  addAuthCookiesToResponse: options.addAuthCookies ?? [],
})

/** Starts the stand-in with the routes that Traefik would get. */
export const startStandInGateway = async (options: GatewayOptions): Promise<RunningGateway> => {
  const { appUrl, vestibulePublicUrl, basePath = '/oauth2', port, scheme } = options
  const { underscoreHeadersStrategy } = options
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
    ...(port && { port }),
    ...(scheme && { scheme }),
    ...(underscoreHeadersStrategy && { underscoreHeadersStrategy }),
  })
}

const READY_HOST = 'ready.invalid'

/** Starts a proxy that is a program on PATH, with its files in a temporary folder. */
export const startGatewayProgram = async (
  name: string,
  options: GatewayOptions,
  writeFiles: WriteGatewayFiles,
): Promise<RunningGateway> => {
  const program = findProgram(name)
  if (!program) throw new Error(`${name} is not on PATH`)
  const port = options.port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), `vestibule-${name}-`))
  const args = await writeFiles(folder, port, READY_HOST, options)
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
    // SIGKILL saves the two seconds that Traefik takes to stop gracefully.
    await running.stop('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  const scheme = options.scheme ?? 'http'
  try {
    await untilReady(running, port, scheme)
  } catch (error) {
    await close()
    throw error
  }
  const origin = `${scheme}://127.0.0.1:${port}`
  return { origin, exited: running.exited, close, [Symbol.asyncDispose]: close }
}

const READY_WITHIN_MS = 30_000

const untilReady = async (
  running: RunningProcess,
  port: number,
  scheme: 'http' | 'https',
): Promise<void> => {
  const deadlineMs = performance.now() + READY_WITHIN_MS
  while (performance.now() < deadlineMs && running.child.exitCode === null) {
    if ((await readyStatus(port, scheme)) === 200) return
    await wait(50)
  }
  throw new Error(`the proxy did not get ready:\n${running.output()}`)
}

const readyStatus = async (port: number, scheme: 'http' | 'https'): Promise<number | undefined> => {
  const open = scheme === 'https' ? requestTls : request
  const status = Promise.withResolvers<number | undefined>()
  const headers = { Host: `${READY_HOST}:${port}` }
  open({ port, host: '127.0.0.1', headers, rejectUnauthorized: false, agent: false })
    .on('response', (response) => {
      response.resume()
      status.resolve(response.statusCode)
    })
    .on('error', () => status.resolve(undefined))
    .end()
  return status.promise
}
