import { lookup as resolveName } from 'node:dns'
import { request as askPlainly, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as askSecurely } from 'node:https'
import type { LookupFunction } from 'node:net'
import { type ConnectionOptions, TLSSocket } from 'node:tls'

/** Answer to one request; the body is cut off after `maxBytes`. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Time of the certificate; absent without TLS. */
  readonly certificate?: { readonly fromMs: number; readonly untilMs: number }
}

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  /** 64 KiB by default. */
  readonly maxBytes?: number
}

/** Sends a GET request without following redirects. Rejects with Node's error where there is no answer. */
export type Ask = (url: string, options?: AskOptions) => Promise<Answer>

export interface AskerOptions {
  /** Authorities to accept, and what else TLS needs. */
  readonly tls?: ConnectionOptions | undefined
  /** Address to connect to in place of the one of the URL's host. */
  readonly connect?: Connect | undefined
}

export interface Connect {
  readonly host: string
  /** Absent where the port of the URL is kept. */
  readonly port?: number
}

const TIMEOUT_MS = 5000
const MAX_BODY_BYTES = 64 * 1024

/** Makes a client that goes through no proxy and sends no secret. */
export function createAsk({ tls, connect }: AskerOptions = {}): Ask {
  return async (
    address,
    { headers = {}, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BODY_BYTES } = {},
  ) => {
    const url = new URL(address)
    const options = {
      headers: { ...HEADERS, Host: url.host, ...headers },
      signal: AbortSignal.timeout(timeoutMs),
      agent: false,
      lookup,
      path: `${url.pathname}${url.search}`,
      ...placeOf(url, connect),
    } as const
    const secure = { ...tls, ...options, ...(isName(url) && { servername: url.hostname }) }
    const request = url.protocol === 'https:' ? askSecurely(secure) : askPlainly(options)
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve).on('error', reject).end()
    })
    const certificate = certificateOf(response)
    const { statusCode: status = 0, headers: given } = response
    const body = await readBounded(response, maxBytes).catch((cause: unknown) => {
      // Node reports the end of the time within a body as a connection that was reset.
      throw options.signal.aborted ? options.signal.reason : cause
    })
    return { status, headers: given, body, ...(certificate && { certificate }) }
  }
}

const HEADERS = { Accept: 'application/json', 'User-Agent': 'vestibule-doctor' }

function placeOf(url: URL, connect: Connect | undefined) {
  const hostname = url.hostname.replace(/^\[|\]$/g, '')
  return { hostname: connect?.host ?? hostname, port: connect?.port ?? url.port }
}

/** Resolves names below `localhost` to loopback, as browsers do. */
export const lookup: LookupFunction = (hostname, options, callback) => {
  if (!/(?:^|\.)localhost$/.test(hostname)) resolveName(hostname, options, callback)
  else if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }])
  else callback(null, '127.0.0.1', 4)
}

function isName({ hostname }: URL): boolean {
  return !/^\[|^[\d.]+$/.test(hostname)
}

function certificateOf({ socket }: IncomingMessage): Answer['certificate'] {
  if (!(socket instanceof TLSSocket)) return undefined
  const { valid_from: from, valid_to: until } = socket.getPeerCertificate()
  return { fromMs: Date.parse(from), untilMs: Date.parse(until) }
}

async function readBounded(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= maxBytes) break
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8')
}

/** Returns the code of Node or OpenSSL of a request that failed; `TIMEOUT` for one without a complete answer in time. */
export function failureCodeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'UNKNOWN'
  if (cause.name === 'TimeoutError' || cause.name === 'AbortError') return 'TIMEOUT'
  const [inner] = cause instanceof AggregateError ? (cause.errors as unknown[]) : []
  const named = inner instanceof Error ? inner : cause
  return 'code' in named && typeof named.code === 'string' ? named.code : named.name
}
