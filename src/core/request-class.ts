import type { SentHeaders } from './sent-headers.ts'

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

/**
 * Classifies a forwarded request by method, fetch metadata and content negotiation. The first class that fits counts, in
 * this order; any other request is `background`.
 */
export function classify(
  headers: SentHeaders,
  method: string,
  isWebSocketScheme = false,
): RequestClass {
  if (method === 'OPTIONS' && isPreflight(headers)) return 'preflight'
  if (isWebSocketScheme || isWebSocket(headers)) return 'websocket'
  if (isPrefetch(headers)) return 'prefetch'
  const navigation = NAVIGATIONS.get(method)
  return navigation && isPage(headers) ? navigation : 'background'
}

/** Class of a page by its method; no other method navigates. */
const NAVIGATIONS = new Map<string, RequestClass>([
  ['GET', 'navigation'],
  ['HEAD', 'navigation'],
  ['POST', 'form-navigation'],
])

/** Returns whether a browser prefetches or prerenders. */
export function isPrefetch({ secPurpose, purpose }: SentHeaders): boolean {
  return isSpeculative(secPurpose) || isSpeculative(purpose)
}

/** Returns whether a refusal of this class is shown as a page. */
export function showsPage(requestClass: RequestClass): boolean {
  return requestClass === 'navigation' || requestClass === 'form-navigation'
}

function isPreflight({ origin, requestedMethod }: SentHeaders): boolean {
  return !!origin && !!requestedMethod
}

/** Recognizes a handshake without `Upgrade`, because Traefik removes that header from the check. */
function isWebSocket({ webSocketKey, webSocketVersion, fetchMode }: SentHeaders): boolean {
  return !!webSocketKey || !!webSocketVersion || fetchMode === 'websocket'
}

function isSpeculative(purpose: string | undefined): boolean {
  return purpose !== undefined && /prefetch|prerender|preview/i.test(purpose)
}

function isPage(headers: SentHeaders): boolean {
  const { fetchMode, fetchDestination, accept } = headers
  if (fetchMode || fetchDestination) return isPageFetch(fetchMode, fetchDestination, accept)
  if (headers.requestedWith || /^application\/grpc/i.test(headers.contentType ?? '')) return false
  return acceptsHtml(accept)
}

/** Judges by fetch metadata; a service worker that passes a page on keeps its mode, not its destination (finding C40). */
function isPageFetch(
  mode: string | undefined,
  destination: string | undefined,
  accept: string | undefined,
): boolean {
  if (mode && mode !== 'navigate') return false
  if (!destination || destination === 'document') return true
  return destination === 'empty' && mode === 'navigate' && acceptsHtml(accept)
}

function acceptsHtml(accept = ''): boolean {
  return /text\/html/i.test(accept)
}
