import { expect } from 'vitest'
import {
  type ScriptedAnswer,
  type ScriptedServer,
  type SeenRequest,
  startScriptedServer,
} from '../../stand-ins/network/scripted-server.ts'
import { type ProxyOptions, proxyMissing, startProxy } from '../../stand-ins/proxy/proxies.ts'
import type { RunningProxy } from '../../stand-ins/proxy/proxy.ts'
import { raw } from './visitor.ts'

export const stageKinds = ['stand-in', 'traefik'] as const
type Kind = (typeof stageKinds)[number]

/** A request of a client, and what the check and the app answer to it. */
export interface ProxiedRequest {
  readonly method?: string
  readonly target?: string
  readonly host?: string
  readonly headers?: readonly string[]
  readonly body?: string
  readonly auth?: ScriptedAnswer
  readonly app?: ScriptedAnswer
}

/** The client's answer, and the request that each server behind the proxy has seen. */
export interface Outcome {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly check: SeenRequest | undefined
  readonly app: SeenRequest | undefined
  readonly signIn: SeenRequest | undefined
}

export interface Stage extends AsyncDisposable {
  readonly run: (kind: Kind, request: ProxiedRequest) => Promise<Outcome>
}

/** Starts three scripted servers (check, sign-in, app) behind each of these proxies that is on PATH. */
export async function setStage(
  wanted: readonly Kind[],
  options: Partial<ProxyOptions> = {},
): Promise<Stage> {
  await using stack = new AsyncDisposableStack()
  const check = stack.use(await startScriptedServer())
  const signIn = stack.use(await startScriptedServer())
  const app = stack.use(await startScriptedServer())
  const proxies = new Map<Kind, RunningProxy>()
  for (const kind of wanted.filter((each) => !proxyMissing(each))) {
    const common = { ...proxied(signIn.url, check.url, app.url), addAuthCookies: ['outage'] }
    proxies.set(kind, stack.use(await startProxy(kind, { ...common, ...options })))
  }
  const resources = stack.move()
  return {
    run: async (kind, request) => {
      check.script(request.auth)
      app.script(request.app)
      signIn.script()
      const proxy = proxies.get(kind)
      if (!proxy) throw new Error(`no ${kind}`)
      const answer = await sendThrough(proxy.origin, request)
      return { ...answer, check: only(check), app: only(app), signIn: only(signIn) }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Options of a proxy before these servers at http://app.test. */
export function proxied(signInUrl: string, checkUrl: string, appUrl: string): ProxyOptions {
  return {
    hosts: ['app.test'],
    vestibulePublicUrl: signInUrl,
    vestibuleCheckUrl: `${checkUrl}/auth`,
    appUrl,
    authResponseHeaders: ['X-Auth-Request-User', 'X-Auth-Request-Groups'],
  }
}

function only({ seen }: ScriptedServer): SeenRequest | undefined {
  expect(seen.length).toBeLessThanOrEqual(1)
  return seen[0]
}

/** Silence after which an answer counts as whole; only tunnels do not end by themselves. */
const QUIET_MS = 1000

/** Sends a request byte for byte. */
export async function sendThrough(origin: string, request: ProxiedRequest) {
  return parseAnswer(await raw(Number(new URL(origin).port), bytesOf(request), QUIET_MS))
}

function bytesOf(request: ProxiedRequest): string {
  const { method = 'GET', target = '/', host = 'app.test', headers = [], body = '' } = request
  const closes = headers.some((header) => header.startsWith('Connection:'))
  return [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    'User-Agent: contract',
    // Without it Go asks for gzip by itself, and unpacks it again.
    'Accept-Encoding: identity',
    ...headers,
    ...(closes ? [] : ['Connection: close']),
    '',
    body,
  ].join('\r\n')
}

function parseAnswer(text: string): Pick<Outcome, 'status' | 'headers' | 'body'> {
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  const body = text.slice(end + 4)
  const isChunked = valueOf(headers, 'Transfer-Encoding') === 'chunked'
  const status = Number(statusLine.split(' ')[1])
  return { status, headers, body: isChunked ? dechunk(body) : body }
}

function dechunk(body: string): string {
  const size = Number.parseInt(body, 16)
  if (!size) return ''
  const start = body.indexOf('\r\n') + 2
  return body.slice(start, start + size) + dechunk(body.slice(start + size + 2))
}

export function valueOf(headers: Outcome['headers'], name: string): string | undefined {
  return headers.find(([header]) => header === name.toLowerCase())?.[1]
}

export function setCookies(headers: Outcome['headers']): readonly string[] {
  return headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)
}

/** Headers that belong to one connection, or change with the clock. */
const PER_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date']

/** The outcome without what may differ between two proxies that do the same. */
export function comparable(outcome: Outcome) {
  const part = (request: SeenRequest | undefined) =>
    request && { ...request, headers: sorted(request.headers) }
  const { headers, check, app, signIn } = outcome
  return {
    ...outcome,
    headers: sorted(headers),
    check: part(check),
    app: part(app),
    signIn: part(signIn),
  }
}

function sorted(headers: Outcome['headers']): readonly string[] {
  return headers
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .filter((line) => !PER_CONNECTION.some((name) => line.startsWith(`${name}:`)))
    .toSorted()
}
