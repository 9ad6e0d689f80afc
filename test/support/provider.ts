import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import type { JWK, JWTPayload } from 'jose'
import type { ClientMetadata, Configuration, JWKS } from 'oidc-provider'
import {
  demoUsers,
  generateProviderKeys,
  type ProviderUser,
  type RunningProvider,
  startProvider,
} from '../../demo/provider.ts'
import { createProviderStore } from '../../demo/provider-store.ts'
import { type ClaimChanges, changeClaims, claimsOf, type SignOptions, signToken } from './tokens.ts'

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

type Json = Record<string, unknown>

/** What an endpoint does instead of its work; with `rewrite` it works, and its JSON answer is changed. */
export interface Behaviour {
  /** The connection is destroyed without an answer. */
  readonly down?: boolean
  readonly delayMs?: number
  readonly status?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly rewrite?: (json: Json) => Json | Promise<Json>
  /** Only this many requests; then the endpoint is itself again. */
  readonly times?: number
}

const json = { 'Content-Type': 'application/json' }
const TEN_MEGABYTES = 10 * 1024 * 1024

/** Ways in which providers and what stands in front of them fail. */
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

export interface TestProviderOptions {
  readonly port?: number
  /** Origins that may carry `/oauth2/callback` and `/oauth2/signed-out`; more with `allowOrigin`. */
  readonly origins?: readonly string[]
  readonly basePath?: string
  readonly client?: Partial<ClientMetadata>
  readonly users?: readonly ProviderUser[]
  readonly configuration?: Configuration
}

export interface TestProvider extends AsyncDisposable {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Registers the callback and signed-out addresses of one more origin. */
  readonly allowOrigin: (origin: string) => Promise<void>
  /** Changes what the provider knows of its client. */
  readonly changeClient: (changes: Partial<ClientMetadata>) => Promise<void>
  readonly set: (endpoint: Endpoint, behaviour: Behaviour) => void
  /** One endpoint, or all of them, work again. */
  readonly reset: (endpoint?: Endpoint) => void
  readonly requests: (endpoint: Endpoint) => readonly SeenProviderRequest[]
  readonly count: (endpoint: Endpoint) => number
  readonly forgetRequests: () => void
  /** The port refuses connections until `resume`. */
  readonly pause: () => Promise<void>
  readonly resume: () => Promise<void>
  /** New signing keys; the old ones are no longer published unless kept. Sessions and grants stay. */
  readonly rotateKeys: (options?: { readonly keepOld?: boolean }) => Promise<void>
  readonly sign: (claims: JWTPayload, options?: SignOptions) => Promise<string>
  /** An ID token out of nothing. */
  readonly mintIdToken: (changes?: ClaimChanges, options?: SignOptions) => Promise<string>
  readonly mintLogoutToken: (changes?: ClaimChanges, options?: SignOptions) => Promise<string>
  /** From now on every ID token is the real one (right nonce and all) with these changes, signed again. */
  readonly tamperIdToken: (changes: ClaimChanges, options?: SignOptions) => void
  readonly close: () => Promise<void>
}

const CLIENT_ID = 'vestibule'
const CLIENT_SECRET = 'a client secret with % and : in it'

/** The demo's provider behind a front that can misbehave, count, and sign with the provider's own keys. */
export const startTestProvider = async (
  options: TestProviderOptions = {},
): Promise<TestProvider> => {
  const store = createProviderStore()
  const configuration = { ...options.configuration, adapter: store, cookies: { keys: ['test'] } }
  const client = createClientRecord(options)
  const behaviours = new Map<Endpoint, { behaviour: Behaviour; left: number }>()
  const seen: (SeenProviderRequest & { readonly endpoint: Endpoint | undefined })[] = []
  const ended = new AbortController()

  let keys = (options.configuration?.jwks ?? (await generateProviderKeys())).keys as readonly JWK[]
  let inner: RunningProvider | undefined

  const takeBehaviour = (endpoint: Endpoint | undefined): Behaviour => {
    const entry = endpoint && behaviours.get(endpoint)
    if (!entry) return {}
    entry.left -= 1
    if (entry.left <= 0) behaviours.delete(endpoint)
    return entry.behaviour
  }

  const front = createServer((request, response) => void serve(request, response))
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request).catch(() => Buffer.alloc(0))
    const { method = '', url = '', headers } = request
    const endpoint = endpointOf(url)
    seen.push({ endpoint, method, url, headers, body: body.toString() })
    const behaviour = takeBehaviour(endpoint)
    await wait(behaviour.delayMs ?? 0, undefined, { signal: ended.signal }).catch(() => undefined)
    if (behaviour.down || !inner) return void response.destroy()
    if (behaviour.body !== undefined || (behaviour.status !== undefined && !behaviour.rewrite)) {
      const { status = 200, headers: own = {} } = behaviour
      return void response.writeHead(status, own).end(behaviour.body)
    }
    await passThrough(request, response, body, inner, behaviour)
  }

  const port = await listenOn(front, options.port ?? 0)
  const issuer = `http://127.0.0.1:${port}`
  const startInner = async (): Promise<RunningProvider> =>
    startProvider({
      issuer,
      clients: [],
      users: options.users ?? demoUsers,
      configuration: { ...configuration, jwks: { keys: keys as JWKS['keys'] } },
    })
  const saveClient = async (): Promise<void> => {
    await store('Client').upsert(CLIENT_ID, client.metadata())
  }
  await saveClient()
  inner = await startInner()

  const sign: TestProvider['sign'] = (claims, how) => signToken(keys, claims, how)
  const standardClaims = (): JWTPayload => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    return { iss: issuer, aud: CLIENT_ID, iat: nowSeconds, exp: nowSeconds + 300 }
  }
  const pause = async (): Promise<void> => {
    const closed = Promise.withResolvers<void>()
    front.close(() => closed.resolve())
    front.closeAllConnections()
    await closed.promise
  }
  const close = async (): Promise<void> => {
    ended.abort()
    if (front.listening) await pause()
    await inner?.close()
  }

  return {
    issuer,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    allowOrigin: async (origin) => {
      client.allow(origin)
      await saveClient()
    },
    changeClient: async (changes) => {
      client.change(changes)
      await saveClient()
    },
    set: (endpoint, behaviour) => {
      behaviours.set(endpoint, { behaviour, left: behaviour.times ?? Number.POSITIVE_INFINITY })
    },
    reset: (endpoint) => {
      if (endpoint) behaviours.delete(endpoint)
      else behaviours.clear()
    },
    requests: (endpoint) => seen.filter((request) => request.endpoint === endpoint),
    count: (endpoint) => seen.filter((request) => request.endpoint === endpoint).length,
    forgetRequests: () => void seen.splice(0),
    pause,
    resume: async () => void (await listenOn(front, port)),
    rotateKeys: async ({ keepOld = false } = {}) => {
      const fresh = (await generateProviderKeys()).keys as readonly JWK[]
      keys = keepOld ? [...fresh, ...keys] : fresh
      const old = inner
      inner = await startInner()
      await old?.close()
    },
    sign,
    mintIdToken: (changes = {}, how) =>
      sign(changeClaims({ ...standardClaims(), sub: 'alice' }, changes), how),
    mintLogoutToken: (changes = {}, how = {}) => {
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const claims = { ...standardClaims(), jti: crypto.randomUUID(), sub: 'alice', events }
      const header = { typ: 'logout+jwt', ...how.header }
      return sign(changeClaims(claims, changes), { ...how, header })
    },
    tamperIdToken: (changes, how) => {
      const rewrite = async (body: Json): Promise<Json> => {
        if (typeof body['id_token'] !== 'string') return body
        const claims = changeClaims(claimsOf(body['id_token']), changes)
        return { ...body, id_token: await sign(claims, how) }
      }
      behaviours.set('token', { behaviour: { rewrite }, left: Number.POSITIVE_INFINITY })
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const endpointOf = (url: string): Endpoint | undefined => {
  const path = url.split('?')[0]
  const found = Object.entries(endpointPaths).find(([, endpointPath]) => endpointPath === path)
  return found?.[0] as Endpoint | undefined
}

const createClientRecord = ({
  origins = [],
  basePath = '/oauth2',
  client,
}: TestProviderOptions) => {
  const allowed = new Set(origins)
  let changes: Partial<ClientMetadata> = client ?? {}
  return {
    allow: (origin: string) => void allowed.add(origin),
    change: (further: Partial<ClientMetadata>) => {
      changes = { ...changes, ...further }
    },
    metadata: (): ClientMetadata => ({
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [...allowed, 'https://unused.invalid'].map(
        (at) => `${at}${basePath}/callback`,
      ),
      post_logout_redirect_uris: [...allowed].map((at) => `${at}${basePath}/signed-out`),
      ...changes,
    }),
  }
}

const listenOn = async (server: ReturnType<typeof createServer>, port: number): Promise<number> => {
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject).listen(port, '127.0.0.1', () => listening.resolve())
  await listening.promise
  return (server.address() as AddressInfo).port
}

const passThrough = async (
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  inner: RunningProvider,
  behaviour: Behaviour,
): Promise<void> => {
  const { port } = inner.server.address() as AddressInfo
  const answered = Promise.withResolvers<IncomingMessage>()
  const outgoing = openRequest({
    host: '127.0.0.1',
    port,
    method: request.method,
    path: request.url,
    headers: request.rawHeaders,
    agent: false,
  })
  outgoing.on('response', answered.resolve).on('error', answered.reject).end(body)
  const answer = await answered.promise.catch(() => undefined)
  if (!answer) return void response.destroy()
  const answerBody = await buffer(answer)
  if (!behaviour.rewrite) {
    return void response.writeHead(answer.statusCode ?? 502, answer.rawHeaders).end(answerBody)
  }
  const rewritten = await behaviour.rewrite(JSON.parse(answerBody.toString()) as Json)
  const status = behaviour.status ?? answer.statusCode ?? 502
  response.writeHead(status, { ...json, ...behaviour.headers }).end(JSON.stringify(rewritten))
}
