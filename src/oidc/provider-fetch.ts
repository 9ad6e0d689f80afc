import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'

/** Everything said to the provider ends within this time. */
export const PROVIDER_TIMEOUT_SECONDS = 5

/** The codes of the errors for an answer of another content type, and for one that is encoded. */
export const WRONG_CONTENT_TYPE = 'ERR_PROVIDER_CONTENT_TYPE'
export const CONTENT_ENCODED = 'ERR_PROVIDER_CONTENT_ENCODING'

/**
 * But for a refresh, for which nobody waits: a refresh token may be spent although the answer comes late, and is lost
 * with it (fault F35).
 */
export const REFRESH_TIMEOUT_SECONDS = 30

const MAX_RESPONSE_BYTES = 1024 * 1024

/** Connections that nobody used for as long are closed, before whatever stands between forgets them. */
const IDLE_MS = 4000
const AGENT = { keepAlive: true, timeout: IDLE_MS } as const
/** The connections to providers and issuers, by scheme; `proxyEnv` of the agents is where a proxy would be named. */
const CLIENTS = {
  'http:': { request: http.request, agent: new http.Agent(AGENT) },
  'https:': { request: https.request, agent: new https.Agent(AGENT) },
} as const

/**
 * A `fetch` for the provider: bounded in time and size, it follows no redirect (threat A95, fault F34) and decodes no
 * answer, because Node's own decodes whatever comes (finding C15). Throws what ended the time, else a `TypeError`.
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
  const response = new Response(isBodiless(status) ? null : body, { status, headers })
  if (response.ok && body.length > 0) requireJson(response)
  return response
}

async function exchange(url: string, init: RequestInit, signal: AbortSignal) {
  const answer = await send(url, init, signal)
  const encodings = encodingsOf(answer)
  if (encodings.length > 0) {
    answer.destroy()
    throw refusal(
      CONTENT_ENCODED,
      `the answer is encoded (${encodings.join(', ')}), although it was asked for as identity`,
    )
  }
  const body = await readBounded(answer)
  const headers = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  )
  return { status: answer.statusCode ?? 0, headers, body }
}

async function send(url: string, init: RequestInit, signal: AbortSignal): Promise<IncomingMessage> {
  const { request: open, agent } = CLIENTS[new URL(url).protocol as keyof typeof CLIENTS]
  const headers = new Headers(init.headers)
  headers.set('Accept-Encoding', 'identity')
  const method = init.method ?? 'GET'
  const request = open(url, { agent, method, headers: Object.fromEntries(headers), signal })
  // Failures behind the head of the answer are the answer's.
  request.on('error', () => undefined)
  // Only forms are sent, as text or as URLSearchParams.
  request.end(init.body ? String(init.body as string | URLSearchParams) : undefined)
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  return answer
}

/** Codings of the content, in any number of headers (RFC 9110 section 8.4). */
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

/** JSON, a key set (RFC 7517 section 8.5.2) or a signed UserInfo answer; anything else is a page for people. */
const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?(?:json|jwt)(?:;|$)/i

function requireJson({ headers }: Response): void {
  if (JSON_TYPE.test(headers.get('content-type') ?? '')) return
  throw refusal(WRONG_CONTENT_TYPE, 'the answer is not JSON')
}

function refusal(code: string, reason: string): TypeError {
  return Object.assign(new TypeError(reason), { code })
}

function isBodiless(status: number): boolean {
  return status === 101 || status === 204 || status === 205 || status === 304
}
