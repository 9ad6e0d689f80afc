import { type IncomingMessage, request as openRequest, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { clientAddress } from './entry-point.ts'
import {
  canonicalName,
  flatHeaders,
  type GoHeaders,
  goHeaders,
  rewriteSetCookie,
  setCookieName,
} from './go-http.ts'

/** Options of Traefik's `forwardAuth`, under Traefik's names. */
export interface ForwardAuth {
  readonly address: string
  readonly authResponseHeaders?: readonly string[]
  readonly addAuthCookiesToResponse?: readonly string[]
  readonly authSigninURL?: string
  readonly maxResponseBodySize?: number
  readonly preserveLocationHeader?: boolean
}

/** Request after the entry point. */
export interface Asked {
  readonly headers: GoHeaders
  readonly host: string
  readonly requestUri: string
}

export const answer = (
  response: ServerResponse,
  status: number,
  body = '',
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(status, headers).end(body)
}

const CHECK_TIMEOUT_MS = 30_000
const CHECK_HOP_HEADERS = [
  'Connection',
  'Keep-Alive',
  'Te',
  'Trailers',
  'Transfer-Encoding',
  'Upgrade',
]
/** Headers that Go's client writes from the message itself; the check has no body. */
const NOT_WRITTEN = ['Content-Length', 'Trailer']

export interface Verdict {
  readonly authCookies: readonly string[]
  readonly passedCookies: ReadonlySet<string>
}

/**
 * Sends the check. Returns a verdict when the request may be proxied; without one the client has its answer
 * already.
 */
export const check = async (
  request: IncomingMessage,
  response: ServerResponse,
  auth: ForwardAuth,
  asked: Asked,
): Promise<Verdict | undefined> => {
  const headers: GoHeaders = new Map(asked.headers)
  for (const name of [...CHECK_HOP_HEADERS, ...NOT_WRITTEN]) headers.delete(name)
  headers.set('X-Forwarded-For', [clientAddress(request)])
  headers.set('X-Forwarded-Method', [request.method ?? 'GET'])
  headers.set('X-Forwarded-Uri', [asked.requestUri])

  const reply = await ask(auth.address, headers).catch(() => undefined)
  if (!reply) {
    answer(response, 500)
    return undefined
  }
  if (!isAllowed(reply, auth)) {
    deny(response, reply, auth)
    return undefined
  }

  for (const name of (auth.authResponseHeaders ?? []).map(canonicalName)) {
    const values = reply.headers.get(name)
    if (values) asked.headers.set(name, values)
    else asked.headers.delete(name)
  }
  return {
    authCookies: (reply.headers.get('Set-Cookie') ?? []).filter((line) => setCookieName(line)),
    passedCookies: new Set(auth.addAuthCookiesToResponse),
  }
}

const isTooLarge = ({ body }: Reply, { maxResponseBodySize }: ForwardAuth): boolean =>
  body.length > (maxResponseBodySize ?? Number.POSITIVE_INFINITY)

const isAllowed = (reply: Reply, auth: ForwardAuth): boolean =>
  reply.status >= 200 && reply.status < 300 && !isTooLarge(reply, auth)

const deny = (response: ServerResponse, reply: Reply, auth: ForwardAuth): void => {
  if (isTooLarge(reply, auth)) answer(response, 401)
  else if (reply.status === 401 && auth.authSigninURL) redirect(response, auth.authSigninURL)
  else passOn(response, reply, auth)
}

interface Reply {
  readonly status: number
  readonly headers: GoHeaders
  readonly body: Buffer
}

const ask = async (address: string, headers: GoHeaders): Promise<Reply> => {
  const replied = Promise.withResolvers<IncomingMessage>()
  const outgoing = openRequest(address, {
    headers: ['Host', new URL(address).host, ...flatHeaders(headers)],
    timeout: CHECK_TIMEOUT_MS,
  })
  outgoing.on('timeout', () => outgoing.destroy(new Error('the auth server did not answer')))
  outgoing.on('response', replied.resolve).on('error', replied.reject)
  outgoing.end()
  const incoming = await replied.promise
  const body = await buffer(incoming)
  return { status: incoming.statusCode ?? 0, headers: goHeaders(incoming.rawHeaders), body }
}

const redirect = (response: ServerResponse, location: string): void => {
  response.writeHead(302, { Location: location }).end()
}

/** Passes any answer but 2xx to the client, without what concerns the connection to the auth server. */
const passOn = (response: ServerResponse, reply: Reply, auth: ForwardAuth): void => {
  for (const name of CHECK_HOP_HEADERS) reply.headers.delete(name)
  const [location] = reply.headers.get('Location') ?? []
  if (location && !auth.preserveLocationHeader) {
    if (!URL.canParse(location, auth.address)) return answer(response, 500)
    const isAbsolute = URL.canParse(location)
    reply.headers.set('Location', [isAbsolute ? location : new URL(location, auth.address).href])
  }
  response.writeHead(reply.status, flatHeaders(reply.headers)).end(reply.body)
}

/** Adds the listed cookies of the auth server to a 2xx; they replace those of the backend. */
export const mergeCookies = (headers: GoHeaders, { authCookies, passedCookies }: Verdict): void => {
  const isListed = (line: string): boolean => passedCookies.has(setCookieName(line) ?? '')
  const own = (headers.get('Set-Cookie') ?? []).filter((line) => !isListed(line))
  const kept = [...own, ...authCookies.filter(isListed)].flatMap(
    (line) => rewriteSetCookie(line) ?? [],
  )
  if (kept.length > 0) headers.set('Set-Cookie', kept)
  else headers.delete('Set-Cookie')
}
