import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { withoutEmptyValues } from './provider-answer.ts'
import { ProviderFault } from './provider-errors.ts'

/** Time limit of every request to the provider except a refresh. */
export const PROVIDER_TIMEOUT_SECONDS = 5

/** Error codes for a response of an unexpected content type, and for one with a content encoding. */
export const WRONG_CONTENT_TYPE = 'ERR_PROVIDER_CONTENT_TYPE'
export const CONTENT_ENCODED = 'ERR_PROVIDER_CONTENT_ENCODING'

/**
 * Time limit of a refresh, for which a request waits a second at most. Longer, because a refresh token may be spent although its answer
 * is late, and the session would be lost with that answer (fault F35).
 */
export const REFRESH_TIMEOUT_SECONDS = 30

const MAX_RESPONSE_BYTES = 1024 * 1024

/** Idle time after which connections are closed, before a proxy or firewall on the path drops them silently. */
const IDLE_MS = 4000
const AGENT = { keepAlive: true, timeout: IDLE_MS } as const
/**
 * Connection pools for providers and issuers, by scheme; the agents' `proxyEnv` is where a proxy would be configured.
 */
const CLIENTS = {
  'http:': { request: http.request, agent: new http.Agent(AGENT) },
  'https:': { request: https.request, agent: new https.Agent(AGENT) },
} as const

/**
 * Fetches from the provider, bounded in time and size, without redirects (threat A95, fault F34) and without decoding,
 * because Node's `fetch` decodes any content encoding (finding C15). Throws the abort reason, else a `TypeError`.
 */
export async function providerFetch(
  url: string,
  init: RequestInit = {},
  seconds = PROVIDER_TIMEOUT_SECONDS,
): Promise<Response> {
  const timeout = AbortSignal.timeout(seconds * 1000)
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout
  const { status, headers, body } = await exchange(url, init, signal).catch((cause: unknown) => {
    if (signal.aborted) throw signal.reason
    throw cause instanceof TypeError ? cause : new TypeError('the request failed', { cause })
  })
  const response = new Response(isBodiless(status) ? null : withoutEmptyValues(body), {
    status,
    headers,
  })
  if (response.ok && body.length > 0) requireJson(response)
  return response
}

async function exchange(url: string, init: RequestInit, signal: AbortSignal) {
  const answer = await send(url, init, signal)
  const status = answer.statusCode ?? 0
  const headers = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  )
  const encodings = encodingsOf(answer)
  if (encodings.length > 0) {
    answer.destroy()
    // The status alone says that the provider is unavailable.
    if (status >= 500 || status === 429) return { status, headers, body: new Uint8Array() }
    throw new ProviderFault(
      `the answer is encoded (${encodings.join(', ')}), although it was asked for as identity`,
      CONTENT_ENCODED,
    )
  }
  const body = await readBounded(answer)
  // A body without a length that the time limit has cut off looks complete.
  signal.throwIfAborted()
  return { status, headers, body }
}

async function send(url: string, init: RequestInit, signal: AbortSignal): Promise<IncomingMessage> {
  const { request: open, agent } = CLIENTS[new URL(url).protocol as keyof typeof CLIENTS]
  const headers = new Headers(init.headers)
  headers.set('Accept-Encoding', 'identity')
  const method = init.method ?? 'GET'
  const request = open(url, { agent, method, headers: Object.fromEntries(headers), signal })
  // Ignored here, because the response emits errors after its head too.
  request.on('error', () => undefined)
  // Bodies are forms only, as text or as URLSearchParams.
  request.end(init.body ? String(init.body as string | URLSearchParams) : undefined)
  // Passes the signal, because a switch of protocols ends a request without any event.
  const [answer] = (await once(request, 'response', { signal })) as [IncomingMessage]
  return answer
}

/** Returns the codings of all `Content-Encoding` headers except `identity` (RFC 9110 section 8.4). */
function encodingsOf({ headersDistinct }: IncomingMessage): readonly string[] {
  return (headersDistinct['content-encoding'] ?? [])
    .flatMap((value) => value.split(','))
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
    .map((coding) => (/^[a-z0-9-]{1,20}$/.test(coding) ? coding : 'unknown'))
}

async function readBounded(answer: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    if (bytes > MAX_RESPONSE_BYTES) throw new RangeError('the response is larger than 1 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Media types of JSON, key sets (RFC 7517 section 8.5.2) and signed UserInfo responses; any other is an error page. */
const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?(?:json|jwt)(?:;|$)/i

function requireJson({ headers }: Response): void {
  if (JSON_TYPE.test(headers.get('content-type') ?? '')) return
  throw new ProviderFault('the answer is not JSON', WRONG_CONTENT_TYPE)
}

function isBodiless(status: number): boolean {
  return status === 101 || status === 204 || status === 205 || status === 304
}
