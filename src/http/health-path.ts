import type { IncomingMessage } from 'node:http'

/** Path of the public listener that load balancers ask for. */
export const HEALTH_PATH = '/healthz'

/**
 * Makes a health check readable whatever its `Host` is, because balancers ask by address, with an empty `Host`, or over
 * HTTP/1.0 without one. HTTP/1.1 without one stays unreadable (RFC 9112 section 3.2).
 */
export function admitAnyHost({
  url,
  headers,
  httpVersion,
}: Pick<IncomingMessage, 'url' | 'headers' | 'httpVersion'>): void {
  if (url !== HEALTH_PATH) return
  if (headers.host !== undefined || httpVersion === '1.0') headers.host = 'localhost'
}
