import { startService } from '../../src/commands/start-service.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { sharedTlsFiles } from './internal-tls.ts'
import { noteOpen } from './left-open.ts'
import {
  createVisitor,
  describeTrail,
  type Visit,
  type VisitHeaders,
  type Visitor,
} from './visitor.ts'

/** The forwarded request of a check; what is not given is a plain GET navigation to `https://app.example.com/`. */
export interface Forwarded {
  readonly method?: string
  readonly proto?: string
  readonly host?: string
  readonly uri?: string
  readonly for?: string
  /** Query of the middleware's address, such as `?policy=admins`. */
  readonly query?: string
}

export interface RunningVestibule extends AsyncDisposable {
  readonly publicPort: number
  readonly internalPort: number
  /** Calls `/auth` as Traefik would. Further headers are sent as spelled; `undefined` takes one away. */
  readonly check: (forwarded?: Forwarded, headers?: VisitHeaders) => Promise<Visit>
  /** A browser that reaches the protected hosts through this service alone. */
  readonly visitor: (hosts?: readonly string[]) => Visitor
  /** Signs `sub` in at `host` and returns the `Cookie` header that a check needs. */
  readonly signIn: (sub: string, host?: string) => Promise<string>
  readonly internal: (path: string) => Promise<Visit>
  readonly log: () => readonly Record<string, unknown>[]
  readonly output: () => string
  readonly isAlive: () => boolean
  readonly stop: () => Promise<unknown>
}

const HOSTS = ['app.example.com', 'other.example.com']

/** Clients for the provider of a test: the redirect URIs of the hosts above. */
export const testClient = {
  client_id: 'vestibule',
  client_secret: 'vestibule-secret',
  redirect_uris: HOSTS.map((host) => `https://${host}/oauth2/callback`),
  post_logout_redirect_uris: HOSTS.map((host) => `https://${host}/oauth2/signed-out`),
}

export const defaultSettings = {
  HOST: '127.0.0.1',
  PORT: '0',
  INTERNAL_PORT: '0',
  PROTECTED_HOSTS: HOSTS.join(','),
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: 'http://127.0.0.1:9',
  OIDC_CLIENT_ID: testClient.client_id,
  OIDC_CLIENT_SECRET: testClient.client_secret,
  OIDC_SCOPES: 'openid profile email groups',
  DRAIN_SECONDS: '0',
}

/** The event loop is the test's as well, and its clock may stand still or jump. */
const NEVER_OVERLOADED = { isOverloaded: () => false, close: () => undefined }

/** Settings of a lane in which checks are asked over TLS and HTTP/2. */
const ofLane = async (): Promise<Readonly<Record<string, string>>> =>
  process.env['INTERNAL_PROTOCOL'] === 'h2' ? (await sharedTlsFiles()).settings : {}

/** The service in the process of the test, with its log in memory. Settings of Node itself need `startVestibuleProcess`. */
export const startVestibule = async (
  settings: Readonly<Record<string, string>> = {},
): Promise<RunningVestibule> => {
  const ofNode = Object.keys(settings).filter((name) => /^NODE_|^OIDC_CA_FILE$/.test(name))
  if (ofNode.length > 0) throw new Error(`${ofNode.join()} is for a process of its own`)
  const environment = { ...defaultSettings, ...(await ofLane()), ...settings }
  const lines: string[] = []
  const config = loadConfig(environment)
  const log = createLog(config.settings.LOG_LEVEL, { write: (line) => void lines.push(line) })
  const service = await startService(config, log, NEVER_OVERLOADED)
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= service.stop(0).finally(noteClosed)
    return stopped
  }
  const noteClosed = noteOpen(`the service at port ${service.internalPort}`, stop)
  const isTls = 'INTERNAL_TLS_CERT_FILE' in environment
  return describeVestibule(
    { ...service, isTls },
    {
      output: () => lines.join(''),
      log: () => lines.flatMap(parseLine),
      isAlive: () => stopped === undefined,
      stop,
      [Symbol.asyncDispose]: stop,
    },
  )
}

/** Ports of a service, the internal one by TLS and HTTP/2 where it is so. */
type Ports = Pick<RunningVestibule, 'publicPort' | 'internalPort'> & { readonly isTls?: boolean }

/** How a service at these ports is asked, beside what is particular to where it runs. */
export const describeVestibule = <Particular>(
  { publicPort, internalPort, isTls = false }: Ports,
  particular: Particular,
): Particular & Ports & Pick<RunningVestibule, 'check' | 'visitor' | 'signIn' | 'internal'> => {
  const origin = `${isTls ? 'https' : 'http'}://127.0.0.1:${internalPort}`
  const check: RunningVestibule['check'] = (forwarded = {}, headers = {}) =>
    createVisitor().get(`${origin}/auth${forwarded.query ?? ''}`, {
      isHttp2: isTls,
      headers: {
        'X-Forwarded-Method': forwarded.method ?? 'GET',
        'X-Forwarded-Proto': forwarded.proto ?? 'https',
        'X-Forwarded-Host': forwarded.host ?? 'app.example.com',
        'X-Forwarded-Uri': forwarded.uri ?? '/',
        'X-Forwarded-For': forwarded.for ?? '203.0.113.7',
        ...headers,
      },
    })
  const visitor: RunningVestibule['visitor'] = (hosts = HOSTS) =>
    createVisitor({
      connectTo: Object.fromEntries(hosts.map((host) => [host, `http://127.0.0.1:${publicPort}`])),
    })
  const signIn: RunningVestibule['signIn'] = async (sub, host = 'app.example.com') => {
    const browser = visitor([host])
    await browser.signIn(`https://${host}/oauth2/login?rd=/oauth2/me`, sub)
    const cookie = browser.cookies.header(new URL(`https://${host}/`))
    if (!cookie?.includes('vestibule=')) {
      throw new Error(`${sub} is not signed in:\n${describeTrail(browser.trail)}`)
    }
    return cookie
  }
  return {
    ...particular,
    publicPort,
    internalPort,
    check,
    visitor,
    signIn,
    internal: (path) => createVisitor().get(`${origin}${path}`, { isHttp2: isTls }),
  }
}

export const parseLine = (line: string): Record<string, unknown>[] =>
  line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []
