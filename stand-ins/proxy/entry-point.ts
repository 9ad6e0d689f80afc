import type { IncomingMessage } from 'node:http'
import { hostname } from 'node:os'
import { canonicalName, type GoHeaders } from './go-http.ts'

export interface EntryPoint {
  /** Scheme in the forwarded headers; the socket is plain in both cases. */
  readonly scheme?: 'http' | 'https'
  readonly underscoreHeadersStrategy?: 'keep' | 'delete' | 'reject'
}

/** Returns whether the request may go on; `delete` removes headers with underscores first. */
export const applyUnderscoreStrategy = (headers: GoHeaders, options: EntryPoint): boolean => {
  const strategy = options.underscoreHeadersStrategy ?? 'keep'
  const names = [...headers.keys()].filter((name) => name.includes('_'))
  if (strategy === 'delete') for (const name of names) headers.delete(name)
  return strategy !== 'reject' || names.length === 0
}

const MANAGED = new Set([
  'X-Forwarded-Proto',
  'X-Forwarded-Scheme',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Server',
  'X-Forwarded-Uri',
  'X-Forwarded-Method',
  'X-Forwarded-Prefix',
  'X-Forwarded-Tls-Client-Cert',
  'X-Forwarded-Tls-Client-Cert-Info',
  'X-Scheme',
  'X-Real-Ip',
])

const isManaged = (name: string): boolean => MANAGED.has(canonicalName(name.replaceAll('_', '-')))

/** Deletes the forwarded headers of an untrusted client, spellings with underscores included, and writes its own. */
export const rewriteForwarded = (
  headers: GoHeaders,
  host: string,
  request: IncomingMessage,
  scheme: 'http' | 'https',
): void => {
  for (const name of headers.keys()) if (isManaged(name)) headers.delete(name)
  const isWebSocket =
    hasToken(headers.get('Connection')?.[0], 'upgrade') &&
    hasToken(headers.get('Upgrade')?.[0], 'websocket')
  const webSocketScheme = scheme === 'https' ? 'wss' : 'ws'
  headers.set('X-Real-Ip', [clientAddress(request)])
  headers.set('X-Forwarded-Proto', [isWebSocket ? webSocketScheme : scheme])
  headers.set('X-Forwarded-Port', [
    /:(\d+)$/.exec(host)?.[1] ?? (scheme === 'https' ? '443' : '80'),
  ])
  headers.set('X-Forwarded-Host', [host])
  headers.set('X-Forwarded-Server', [hostname()])
  removeConnectionHeaders(headers)
}

export const hasToken = (list: string | undefined, token: string): boolean =>
  (list ?? '').split(',').some((part) => part.trim().toLowerCase() === token)

export const clientAddress = (request: IncomingMessage): string =>
  request.socket.remoteAddress ?? ''

/** Removes headers that the client names in Connection, except those that the proxy writes itself. */
const removeConnectionHeaders = (headers: GoHeaders): void => {
  const lists = headers.get('Connection') ?? []
  const upgrade = lists.some((list) => hasToken(list, 'upgrade'))
    ? headers.get('Upgrade')
    : undefined
  for (const name of lists.flatMap((list) => list.split(','))) {
    const canonical = canonicalName(name.trim())
    if (!isManaged(canonical)) headers.delete(canonical)
  }
  headers.delete('Connection')
  if (!upgrade) return
  headers.set('Upgrade', upgrade.slice(0, 1))
  headers.set('Connection', ['Upgrade'])
}
