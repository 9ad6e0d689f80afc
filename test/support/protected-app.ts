import { type IncomingMessage, request as openPlain } from 'node:http'
import { request as openTls } from 'node:https'
import { text } from 'node:stream/consumers'
import { startApp } from '../../stand-ins/app.ts'
import { type ProxyOptions, proxyMissing, startProxy } from '../../stand-ins/proxy/proxies.ts'
import type { RunningProxy } from '../../stand-ins/proxy/proxy.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { type RelyingParty, startRelyingParty } from './relying-party.ts'

/** The proxies that are asked the same; the real one where it is on PATH. */
export const gatewayKinds = ['stand-in', 'traefik'] as const
export type GatewayKind = (typeof gatewayKinds)[number]

export interface ClientRequest {
  readonly method?: string
  readonly target?: string
  readonly host?: string
  /** Names and values in turn, sent as spelled; `Host` and what makes a navigation come before them. */
  readonly headers?: readonly string[]
}

/** Answer to the client, and the request that the app was given if it was reached. */
export interface Passage {
  readonly status: number
  readonly location: string | undefined
  readonly body: string
  readonly app: SeenByApp | undefined
}

export interface SeenByApp {
  readonly method: string
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

export interface ProtectedApp extends AsyncDisposable {
  readonly party: RelyingParty
  /** `skip` is the test's own; it is called with the reason where this proxy is missing. */
  readonly send: (
    kind: GatewayKind,
    skip: (reason: string) => void,
    request?: ClientRequest,
  ) => Promise<Passage>
}

/** The demo's app behind each proxy, both behind the same Vestibule at https://app.example.com. */
export async function startProtectedApp(
  settings: Readonly<Record<string, string>> = {},
  options: Partial<ProxyOptions> = {},
): Promise<ProtectedApp> {
  await using stack = new AsyncDisposableStack()
  const party = stack.use(await startRelyingParty(settings))
  const app = stack.use(await startApp())
  const proxies = new Map<GatewayKind, RunningProxy>()
  for (const kind of gatewayKinds.filter((each) => !proxyMissing(each))) {
    const proxy = await startProxy(kind, {
      hosts: ['app.example.com', 'other.example.com'],
      scheme: 'https',
      vestibulePublicUrl: `http://127.0.0.1:${party.vestibule.publicPort}`,
      vestibuleCheckUrl: `http://127.0.0.1:${party.vestibule.internalPort}/auth`,
      appUrl: app.url,
      authResponseHeaders,
      ...options,
    })
    proxies.set(kind, stack.use(proxy))
  }
  const resources = stack.move()
  return {
    party,
    send: async (kind, skip, request = {}) => {
      const proxy = proxies.get(kind)
      if (proxy) return send(proxy.origin, request)
      skip(proxyMissing(kind) ?? `${kind} was not started`)
      throw new Error(`${kind} is missing`)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Every value of one header that the app was given, whatever its spelling. */
export function givenTo(app: SeenByApp | undefined, name: string): readonly string[] {
  return (app?.headers ?? [])
    .filter(([each]) => each.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value)
}

/** Lists headers that apps believe: forwarding and identity, in every spelling that PHP, WSGI and CGI fold together. */
export function trustedHeaders(app: SeenByApp | undefined): readonly string[] {
  return (app?.headers ?? [])
    .map(([name, value]) => `${name.toLowerCase().replace(/[^a-z0-9]/g, '-')}: ${value}`)
    .filter((line) => /^(?:x-forwarded-|x-real-ip|x-auth-|remote-)/.test(line))
    .toSorted()
}

/** A navigation whose answer is JSON, so that the app's own report can be read. */
const navigation = ['Accept', '*/*', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document']

async function send(origin: string, request: ClientRequest): Promise<Passage> {
  const { method = 'GET', target = '/', host = 'app.example.com', headers = [] } = request
  const { protocol, port } = new URL(origin)
  const open = protocol === 'https:' ? openTls : openPlain
  const answered = Promise.withResolvers<IncomingMessage>()
  const given = new Set(headers.filter((_, index) => index % 2 === 0))
  const ours = ['Host', host, ...navigation].flatMap((name, index, all) =>
    index % 2 === 0 && !given.has(name) ? [name, all[index + 1] ?? ''] : [],
  )
  open({
    host: '127.0.0.1',
    port,
    method,
    path: target,
    headers: [...ours, ...headers],
    servername: 'app.example.com',
    rejectUnauthorized: false,
    agent: false,
  })
    .on('response', answered.resolve)
    .on('error', answered.reject)
    .end()
  const message = await answered.promise
  const body = await text(message)
  const { statusCode: status = 0 } = message
  return { status, location: message.headers.location, body, app: seenIn(body) }
}

function seenIn(body: string): SeenByApp | undefined {
  if (!body.startsWith('{"method":')) return undefined
  return JSON.parse(body) as SeenByApp
}
