import type { ClientRequest, IncomingMessage } from 'node:http'
import { cleanUrl } from '../../core/clean-text.ts'
import { parseJson } from '../../core/json.ts'
import type { Proxies } from '../../core/proxies.ts'
import type { FailureFacts } from '../../errors.ts'
import { within } from '../../timing/time-limit.ts'
import { checkContentType } from './answer-type.ts'
import { createRoutes, type Route } from './connections.ts'
import { networkFault, proxySettingOf, refusedByProxy, slowFault } from './network-fault.ts'
import { readableBody, readableHeaders } from './provider-answer.ts'
import { noteFacts, ProviderFault, withFacts } from './provider-errors.ts'
import { readBounded } from './read-bounded.ts'
import type { ProviderRequest } from './sent-secrets.ts'

/** Conditions of one request to a provider or issuer. */
export interface FetchOptions {
  readonly seconds?: number
  /** Facts for the log if the request fails. */
  readonly facts?: FailureFacts
}

/**
 * Fetches from a provider or issuer, bounded in time and size, without redirects (threat A95, fault F34) and without
 * decoding, because Node's `fetch` decodes any content encoding (finding C15). Rejects with a `ProviderFault` that
 * names the cause.
 */
export type ProviderFetch = (
  url: string,
  init?: ProviderRequest,
  options?: FetchOptions,
) => Promise<Response>

/** Time limit of every request to the provider except a refresh. */
export const PROVIDER_TIMEOUT_SECONDS = 5

/**
 * Time limit of a refresh, for which a request waits a second at most. Longer, because a refresh token may be spent although its answer
 * is late, and the session would be lost with that answer (fault F35).
 */
export const REFRESH_TIMEOUT_SECONDS = 30

/** Error codes for an answer with a content encoding, and for a redirect. */
export const CONTENT_ENCODED = 'ERR_PROVIDER_CONTENT_ENCODING'
export const REDIRECTED = 'ERR_PROVIDER_REDIRECT'

const NO_BODY = new Uint8Array()
const TEXT = new TextDecoder()

/** Creates the fetch for all requests to providers and issuers, through the proxies where there are any. */
export function createProviderFetch(proxies: Proxies | undefined): ProviderFetch {
  const routeTo = createRoutes(proxies)
  return async (url, init = {}, { seconds = PROVIDER_TIMEOUT_SECONDS, facts = {} } = {}) => {
    const server = new URL(url)
    const route = routeTo(server)
    const { proxy } = route
    const known = { ...facts, url: cleanUrl(url), ...(proxy !== undefined && { proxy }) }
    const asked = { url: server, init, route, seconds }
    return exchange(asked, known).catch((cause: unknown) => {
      throw faultOf(cause, asked, known)
    })
  }
}

/** Request with its way to the server. */
interface RoutedRequest {
  readonly url: URL
  readonly init: ProviderRequest
  readonly route: Route
  readonly seconds: number
}

async function exchange(asked: RoutedRequest, known: FailureFacts): Promise<Response> {
  const { url, route, seconds } = asked
  const request = send(asked)
  try {
    // A switch of protocols ends a request without any event.
    return await within(receive(request, asked, known), seconds * 1000, () =>
      slowFault(seconds, { url, proxy: route.proxy }, known),
    )
  } finally {
    // Closes the connection of an answer that was not read to its end.
    request.destroy()
  }
}

async function receive(
  request: ClientRequest,
  asked: RoutedRequest,
  known: FailureFacts,
): Promise<Response> {
  const answer = await answerTo(request)
  const status = answer.statusCode ?? 0
  const { url, init } = asked
  try {
    checkHead(answer, status, asked)
    const headers = readableHeaders(answer.headersDistinct, init)
    const bytes = hasUnreadBody(answer, status) ? NO_BODY : await readBounded(answer)
    const value = parseJson(TEXT.decode(bytes))
    const isSuccess = status >= 200 && status <= 299
    checkContentType({ headers, bytes, value }, { isSuccess, isPublicFile: isPublicFile(init) })
    const { body, json } = readableBody(bytes, value, init)
    const response = new Response(isBodiless(status) ? null : body, { status, headers })
    noteFacts(response, { ...known, http_status: status })
    return Object.defineProperties(response, {
      url: { value: url.href },
      // Saves openid-client the reading of a stream and of the JSON that has just been read.
      ...(json && { bodyUsed: { value: false }, json: { value: async () => json } }),
    })
  } catch (cause) {
    throw cause instanceof ProviderFault ? withFacts(cause, { http_status: status }) : cause
  }
}

function faultOf(
  cause: unknown,
  { url, route }: RoutedRequest,
  known: FailureFacts,
): ProviderFault {
  if (cause instanceof ProviderFault) return withFacts(cause, known)
  return networkFault(cause, { url, proxy: route.proxy }, known)
}

function send({ url, init, route: { open, agent } }: RoutedRequest): ClientRequest {
  const { method = 'GET', headers = {}, body } = init
  const request = open(url, {
    agent,
    method,
    headers: { ...headers, 'Accept-Encoding': 'identity' },
  })
  return request.end(body ? String(body) : undefined)
}

function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve)
    // Stays, because the response emits errors after its head too.
    request.on('error', reject)
  })
}

/** Refuses an answer by its head: a content encoding, a redirect, or a proxy that wants credentials. */
function checkHead(
  answer: IncomingMessage,
  status: number,
  { url, route: { proxy } }: RoutedRequest,
): void {
  const encodings = encodingsOf(answer)
  if (encodings.length > 0 && !isOutage(status)) {
    throw new ProviderFault(
      `the answer is encoded (${encodings.join(', ')}), although it was asked for as identity`,
      CONTENT_ENCODED,
    )
  }
  if (status === 407 && proxy !== undefined) {
    const setting = proxySettingOf(url)
    throw new ProviderFault(refusedByProxy(proxy, status, url.host), 'ERR_PROXY', { setting })
  }
  if (status >= 300 && status <= 399) checkRedirect(answer.headers.location, status, url)
}

function checkRedirect(location: string | undefined, status: number, url: URL): void {
  if (location === undefined) return
  const target = cleanUrl(URL.parse(location, url)?.href ?? '') || 'another address'
  throw new ProviderFault(`the answer is a redirect (${status}) to ${target}`, REDIRECTED)
}

/** Returns whether the status alone says that the provider is unavailable, so that an encoded body is left unread. */
function hasUnreadBody(answer: IncomingMessage, status: number): boolean {
  return isOutage(status) && encodingsOf(answer).length > 0
}

function isOutage(status: number): boolean {
  return status >= 500 || status === 429
}

/** Metadata and key sets are the only answers to GET requests without credentials. */
function isPublicFile({ method = 'GET', headers }: ProviderRequest): boolean {
  return method === 'GET' && !new Headers(headers).has('Authorization')
}

/** Returns the codings of all `Content-Encoding` headers except `identity` (RFC 9110 section 8.4). */
function encodingsOf({ headersDistinct }: IncomingMessage): readonly string[] {
  return (headersDistinct['content-encoding'] ?? [])
    .flatMap((value) => value.split(','))
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
    .map((coding) => (/^[a-z0-9-]{1,20}$/.test(coding) ? coding : 'unknown'))
}

function isBodiless(status: number): boolean {
  return status === 101 || status === 204 || status === 205 || status === 304
}
