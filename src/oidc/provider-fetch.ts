import { Agent, type Dispatcher, request } from 'undici'

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

/** The connections to providers and issuers; a proxy's agent would take its place here. */
const dispatcher: Dispatcher = new Agent({ maxResponseSize: MAX_RESPONSE_BYTES })

/**
 * A `fetch` for the provider: bounded in time and size, it follows no redirect (threat A95, fault F34) and decodes no
 * answer, because Node's own decodes whatever comes (finding C15). Throws a `TypeError` as `fetch` does.
 */
export async function providerFetch(
  url: string,
  init: RequestInit = {},
  seconds = PROVIDER_TIMEOUT_SECONDS,
): Promise<Response> {
  const timeout = AbortSignal.timeout(seconds * 1000)
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout
  const { statusCode: status, headers, body } = await send(url, init, signal)
  const bytes = await body.arrayBuffer().catch(fail)
  const response = new Response(isBodiless(status) ? null : bytes, {
    status,
    headers: Object.entries(headers).flatMap(([name, values = []]) =>
      [values].flat().map((value): [string, string] => [name, value]),
    ),
  })
  if (response.ok && bytes.byteLength > 0) requireJson(response)
  return response
}

async function send(url: string, init: RequestInit, signal: AbortSignal) {
  const headers = new Headers(init.headers)
  headers.set('Accept-Encoding', 'identity')
  const answer = await request(url, {
    dispatcher,
    method: init.method ?? 'GET',
    headers,
    // Only forms are sent, as text or as URLSearchParams.
    body: init.body ? String(init.body as string | URLSearchParams) : null,
    signal,
  }).catch(fail)
  const encodings = encodingsOf(answer.headers['content-encoding'])
  if (encodings.length === 0) return answer
  answer.body.on('error', () => undefined).destroy()
  throw refusal(
    CONTENT_ENCODED,
    `the answer is encoded (${encodings.join(', ')}), although it was asked for as identity`,
  )
}

/** What was done to the content, in any number of headers (RFC 9110 section 8.4). */
function encodingsOf(values: string | readonly string[] = []): readonly string[] {
  return [values]
    .flat()
    .flatMap((value) => value.split(','))
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
    .map((coding) => (/^[a-z0-9-]{1,20}$/.test(coding) ? coding : 'unknown'))
}

/** A time limit is known by its own error; any other failure is a `TypeError` with its cause, as of `fetch`. */
function fail(cause: unknown): never {
  throw cause instanceof DOMException ? cause : new TypeError('the request failed', { cause })
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
