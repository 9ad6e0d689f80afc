import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { closeServer, listenOn } from '../network/server.ts'

const endpointPaths = {
  discovery: '/.well-known/openid-configuration',
  jwks: '/jwks',
  authorization: '/auth',
  token: '/token',
  userinfo: '/me',
  revocation: '/token/revocation',
  endSession: '/session/end',
} as const

export type Endpoint = keyof typeof endpointPaths

export type Json = Record<string, unknown>

/** Fault of an endpoint; with `rewrite` the endpoint works and its JSON answer is changed. */
export interface Behaviour {
  /** Destroys the connection without an answer. */
  readonly down?: boolean
  readonly delayMs?: number
  /** Delays the work until this settles. */
  readonly after?: Promise<unknown>
  /** Awaited before anything else is done with the request. */
  readonly before?: (request: SeenProviderRequest) => unknown
  readonly status?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly rewrite?: (json: Json, request: SeenProviderRequest) => Json | Promise<Json>
  /** Number of requests after which the endpoint works again. */
  readonly times?: number
}

const json = { 'Content-Type': 'application/json' }
const TEN_MEGABYTES = 10 * 1024 * 1024

/** Failures of providers and of proxies before them. */
export const faults = {
  down: { down: true },
  hangs: { delayMs: 60_000 },
  slow: { delayMs: 1_000 },
  serverError: { status: 500, headers: json, body: '{"error":"server_error"}' },
  badGateway: {
    status: 502,
    headers: { 'Content-Type': 'text/html' },
    body: '<h1>Bad Gateway</h1>',
  },
  unavailable: { status: 503, headers: { 'Retry-After': '1' }, body: '' },
  tooManyRequests: { status: 429, headers: { 'Retry-After': '1' }, body: '' },
  html: { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<h1>Welcome</h1>' },
  truncatedJson: { status: 200, headers: json, body: '{"access_token":"abc","token_ty' },
  emptyObject: { status: 200, headers: json, body: '{}' },
  notAnObject: { status: 200, headers: json, body: '[null]' },
  wrongContentType: { rewrite: (body) => body, headers: { 'Content-Type': 'text/plain' } },
  tenMegabytes: { status: 200, headers: json, body: `{"pad":"${'x'.repeat(TEN_MEGABYTES)}"}` },
  redirect: { status: 302, headers: { Location: 'http://127.0.0.1:9/elsewhere' }, body: '' },
  invalidGrant: { status: 400, headers: json, body: '{"error":"invalid_grant"}' },
} as const satisfies Record<string, Behaviour>

export interface SeenProviderRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface ProviderFront {
  readonly port: number
  /** Sets the port of the provider behind. */
  readonly pointTo: (port: number) => void
  readonly set: (endpoint: Endpoint, behaviour: Behaviour) => void
  /** Repairs one endpoint, or all of them. */
  readonly reset: (endpoint?: Endpoint) => void
  readonly requests: (endpoint: Endpoint) => readonly SeenProviderRequest[]
  readonly count: (endpoint: Endpoint) => number
  readonly forgetRequests: () => void
  /** Refuses connections until `resume`. */
  readonly pause: () => Promise<void>
  readonly resume: () => Promise<void>
  readonly close: () => Promise<void>
}

/** Starts a reverse proxy before a provider that counts requests and fails as asked. */
export const startProviderFront = async (wantedPort: number): Promise<ProviderFront> => {
  const behaviours = createBehaviours()
  const seen: (SeenProviderRequest & { readonly endpoint: Endpoint | undefined })[] = []
  const ended = new AbortController()
  let target: number | undefined

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request).catch(() => Buffer.alloc(0))
    const { method = '', url = '', headers } = request
    const endpoint = endpointOf(url)
    const asked = { method, url, headers, body: body.toString() }
    seen.push({ endpoint, ...asked })
    const behaviour = behaviours.take(endpoint)
    await wait(behaviour.delayMs ?? 0, undefined, { signal: ended.signal }).catch(() => undefined)
    await behaviour.after
    await behaviour.before?.(asked)
    if (behaviour.down || target === undefined) return void response.destroy()
    if (behaviour.body !== undefined || (behaviour.status !== undefined && !behaviour.rewrite)) {
      const { status = 200, headers: own = {} } = behaviour
      return void response.writeHead(status, own).end(behaviour.body)
    }
    await passThrough(response, asked, target, behaviour)
  }

  const server = createServer((request, response) => void serve(request, response))
  const port = await listenOn(server, wantedPort)
  const pause = () => closeServer(server)
  const requests: ProviderFront['requests'] = (endpoint) =>
    seen.filter((request) => request.endpoint === endpoint)

  return {
    port,
    pointTo: (next) => {
      target = next
    },
    set: behaviours.set,
    reset: behaviours.reset,
    requests,
    count: (endpoint) => requests(endpoint).length,
    forgetRequests: () => void seen.splice(0),
    pause,
    resume: async () => void (await listenOn(server, port)),
    close: async () => {
      ended.abort()
      if (server.listening) await pause()
    },
  }
}

const createBehaviours = () => {
  const behaviours = new Map<Endpoint, { behaviour: Behaviour; left: number }>()
  return {
    set: (endpoint: Endpoint, behaviour: Behaviour) => {
      behaviours.set(endpoint, { behaviour, left: behaviour.times ?? Number.POSITIVE_INFINITY })
    },
    reset: (endpoint?: Endpoint) => {
      if (endpoint) behaviours.delete(endpoint)
      else behaviours.clear()
    },
    take: (endpoint: Endpoint | undefined): Behaviour => {
      const entry = endpoint && behaviours.get(endpoint)
      if (!entry) return {}
      entry.left -= 1
      if (entry.left <= 0) behaviours.delete(endpoint)
      return entry.behaviour
    },
  }
}

const endpointOf = (url: string): Endpoint | undefined => {
  const path = url.split('?')[0]
  const found = Object.entries(endpointPaths).find(([, endpointPath]) => endpointPath === path)
  return found?.[0] as Endpoint | undefined
}

const passThrough = async (
  response: ServerResponse,
  asked: SeenProviderRequest,
  port: number,
  behaviour: Behaviour,
): Promise<void> => {
  const answered = Promise.withResolvers<IncomingMessage>()
  const outgoing = openRequest({
    host: '127.0.0.1',
    port,
    method: asked.method,
    path: asked.url,
    headers: response.req.rawHeaders,
    agent: false,
  })
  outgoing.on('response', answered.resolve).on('error', answered.reject).end(asked.body)
  const answer = await answered.promise.catch(() => undefined)
  if (!answer) return void response.destroy()
  const answerBody = await buffer(answer)
  if (!behaviour.rewrite) {
    return void response.writeHead(answer.statusCode ?? 502, answer.rawHeaders).end(answerBody)
  }
  const rewritten = await behaviour.rewrite(JSON.parse(answerBody.toString()) as Json, asked)
  const status = behaviour.status ?? answer.statusCode ?? 502
  response.writeHead(status, { ...json, ...behaviour.headers }).end(JSON.stringify(rewritten))
}
