/** Everything said to the provider ends within this time. */
export const PROVIDER_TIMEOUT_SECONDS = 5

/** The code of the error for an answer of another content type. */
export const WRONG_CONTENT_TYPE = 'ERR_PROVIDER_CONTENT_TYPE'

/**
 * But for a refresh, for which nobody waits: a refresh token may be spent although the answer comes late, and is lost
 * with it (fault F35).
 */
export const REFRESH_TIMEOUT_SECONDS = 30

const MAX_RESPONSE_BYTES = 1024 * 1024

/** A `fetch` for the provider: bounded in time and size, and it follows no redirect (threat A95, fault F34). */
export async function providerFetch(
  url: string,
  init: RequestInit = {},
  seconds = PROVIDER_TIMEOUT_SECONDS,
): Promise<Response> {
  const timeout = AbortSignal.timeout(seconds * 1000)
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout
  const response = await fetch(url, { ...init, signal, redirect: 'manual' })
  const body = await readBounded(response)
  if (response.ok && body.length > 0) requireJson(response)
  return new Response(isBodiless(response.status) ? null : body, {
    status: response.status,
    headers: response.headers,
  })
}

/** JSON, a key set (RFC 7517 section 8.5.2) or a signed UserInfo answer; anything else is a page for people. */
const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?(?:json|jwt)(?:;|$)/i

function requireJson({ headers }: Response): void {
  if (JSON_TYPE.test(headers.get('content-type') ?? '')) return
  throw Object.assign(new TypeError('the answer is not JSON'), { code: WRONG_CONTENT_TYPE })
}

async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const body: AsyncIterable<Uint8Array> | Uint8Array[] = response.body ?? []
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > MAX_RESPONSE_BYTES) throw new RangeError('the response is larger than 1 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function isBodiless(status: number): boolean {
  return status === 101 || status === 204 || status === 205 || status === 304
}
