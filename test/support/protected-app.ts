import { type IncomingMessage, request as openPlain } from 'node:http'
import { request as openTls } from 'node:https'
import { text } from 'node:stream/consumers'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import { startApp } from '../../stand-ins/app.ts'
import {
  type ProxyKind,
  type ProxyOptions,
  proxyMissing,
  startProxy,
} from '../../stand-ins/proxy/proxies.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { startRelyingParty } from './relying-party.ts'
import { writeRules } from './rules-file.ts'
import type { RunningVestibule } from './vestibule.ts'

/** The proxies that are asked the same; the real one where it is on PATH. */
export const gatewayKinds = ['stand-in', 'traefik'] as const
export type GatewayKind = (typeof gatewayKinds)[number]

export const HOSTS = ['app.example.com', 'other.example.com']

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

/** Settings, or rules for a service in which only they let users in. */
export type SettingsOrRules = Readonly<Record<string, string>> | readonly RuleSource[]

/** The demo's app behind each of these proxies that is here, all of them before the same Vestibule. */
export async function startProxies<Kind extends ProxyKind>(
  kinds: readonly Kind[],
  { publicPort, internalPort }: Pick<RunningVestibule, 'publicPort' | 'internalPort'>,
  optionsOf: (kind: Kind) => Pick<ProxyOptions, 'hosts'> & Partial<ProxyOptions>,
) {
  await using stack = new AsyncDisposableStack()
  const { url: appUrl } = stack.use(await startApp())
  const origins = new Map<Kind, string>()
  for (const kind of kinds.filter((each) => !proxyMissing(each))) {
    const proxy = await startProxy(kind, {
      vestibulePublicUrl: `http://127.0.0.1:${publicPort}`,
      vestibuleCheckUrl: `http://127.0.0.1:${internalPort}/auth`,
      appUrl,
      authResponseHeaders,
      ...optionsOf(kind),
    })
    origins.set(kind, stack.use(proxy).origin)
  }
  const resources = stack.move()
  return {
    originOf: (kind: Kind): string => {
      const origin = origins.get(kind)
      if (!origin) throw new Error(`${kind} was not started`)
      return origin
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** The demo's app at two hosts behind each proxy that is here. */
export async function startBehindProxies(
  start: () => ReturnType<typeof startRelyingParty>,
  options: Partial<ProxyOptions> = {},
) {
  await using stack = new AsyncDisposableStack()
  const party = stack.use(await start())
  const further = () => ({ hosts: HOSTS, scheme: 'https' as const, ...options })
  const { originOf } = stack.use(await startProxies(gatewayKinds, party.vestibule, further))
  const resources = stack.move()
  return { party, originOf, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** The same, to be sent requests as spelled. */
export async function startProtectedApp(
  given: SettingsOrRules = {},
  options: Partial<ProxyOptions> = {},
) {
  await using stack = new AsyncDisposableStack()
  const settings = isRules(given)
    ? { VESTIBULE_CONFIG: stack.use(await writeRules(given)).path, ALLOW_ANY_USER: 'false' }
    : given
  const started = stack.use(await startBehindProxies(() => startRelyingParty(settings), options))
  const resources = stack.move()
  return {
    ...started,
    send: (kind: GatewayKind, request: ClientRequest = {}) => send(started.originOf(kind), request),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

export type ProtectedApp = Awaited<ReturnType<typeof startProtectedApp>>

function isRules(given: SettingsOrRules): given is readonly RuleSource[] {
  return Array.isArray(given)
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

/** Sends a request to a proxy as it is spelled. */
export async function send(origin: string, request: ClientRequest): Promise<Passage> {
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
