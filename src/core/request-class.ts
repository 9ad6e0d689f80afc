import type { RawRequest } from './forwarded-request.ts'

/**
 * Class of a request, which decides how it is refused, never whether it is (threat A20). Only a navigation may start a
 * sign-in.
 */
export type RequestClass =
  | 'preflight'
  | 'websocket'
  | 'prefetch'
  | 'navigation'
  | 'form-navigation'
  | 'background'

interface Signals {
  readonly method: string
  readonly isWebSocketScheme: boolean
  readonly header: (name: string) => string
}

/** Classes in order of precedence; any other request is `background`. */
const TABLE: readonly (readonly [RequestClass, (request: Signals) => boolean])[] = [
  ['preflight', isPreflight],
  ['websocket', isWebSocket],
  ['prefetch', ({ header }) => isSpeculative(header('sec-purpose'), header('purpose'))],
  ['navigation', (request) => isSafe(request.method) && isPage(request)],
  ['form-navigation', (request) => request.method === 'POST' && isPage(request)],
]

/** Classifies a forwarded request by method, fetch metadata and content negotiation. */
export function classify(raw: RawRequest, method: string, isWebSocketScheme = false): RequestClass {
  const signals: Signals = { method, isWebSocketScheme, header: (name) => headerOf(raw, name) }
  const row = TABLE.find(([, fits]) => fits(signals))
  return row?.[0] ?? 'background'
}

/** Returns whether a browser prefetches or prerenders. */
export function isPrefetch(raw: RawRequest): boolean {
  return isSpeculative(headerOf(raw, 'sec-purpose'), headerOf(raw, 'purpose'))
}

/** Returns whether a refusal of this class is shown as a page. */
export function showsPage(requestClass: RequestClass): boolean {
  return requestClass === 'navigation' || requestClass === 'form-navigation'
}

function isPreflight({ method, header }: Signals): boolean {
  return (
    method === 'OPTIONS' &&
    header('origin') !== '' &&
    header('access-control-request-method') !== ''
  )
}

/** Recognizes a handshake without `Upgrade`, because Traefik removes that header from the check. */
function isWebSocket({ isWebSocketScheme, header }: Signals): boolean {
  return (
    isWebSocketScheme ||
    header('sec-websocket-key') !== '' ||
    header('sec-websocket-version') !== '' ||
    header('sec-fetch-mode') === 'websocket'
  )
}

function isSpeculative(...purposes: readonly string[]): boolean {
  return purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose))
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

function isPage({ header }: Signals): boolean {
  const mode = header('sec-fetch-mode')
  const destination = header('sec-fetch-dest')
  const accept = header('accept')
  if (mode || destination) return isPageFetch(mode, destination, accept)
  if (header('x-requested-with') || /^application\/grpc/i.test(header('content-type'))) return false
  return acceptsHtml(accept)
}

/** Judges by fetch metadata; a service worker that passes a page on keeps its mode, not its destination (finding C40). */
function isPageFetch(mode: string, destination: string, accept: string): boolean {
  if (mode && mode !== 'navigate') return false
  if (!destination || destination === 'document') return true
  return destination === 'empty' && mode === 'navigate' && acceptsHtml(accept)
}

function acceptsHtml(accept: string): boolean {
  return /text\/html/i.test(accept)
}

function headerOf(raw: RawRequest, name: string): string {
  const value = raw.headers[name]
  return typeof value === 'string' ? value : ''
}
