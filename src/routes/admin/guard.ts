import { createHash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { plain } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import { createThrottle } from '../../http/throttle.ts'
import type { Log } from '../../telemetry/log.ts'
import { operatorOf } from './request.ts'

/** Wrong tokens per address and minute after which even the right token is refused. */
const MAX_FAILURES = 10
const FAILURES_MS = 60_000
const MAX_ADDRESSES = 10_000
const LOG_PAUSE_MS = 1000

export interface AdminGuardOptions {
  readonly token: string | undefined
  readonly broadcastToken: string | undefined
  readonly log: Log
}

/** Path that `BROADCAST_TOKEN` opens, and no other. */
const BROADCAST_PATH = '/admin/broadcast'

/**
 * Creates the guard of `/admin`: it returns the refusal, or `undefined` for an operator. A path that no token could open is
 * 404.
 */
export function createAdminGuard({ token, broadcastToken, log }: AdminGuardOptions) {
  const isAdminToken = matcherOf(token)
  const isBroadcastToken = matcherOf(broadcastToken)
  const failures = new LRUCache<string, number>({
    max: MAX_ADDRESSES,
    ttl: FAILURES_MS,
    noUpdateTTL: true,
  })
  const admitLogLine = createThrottle(LOG_PAUSE_MS)

  function tell(status: 401 | 403 | 429, c: NodeContext): void {
    const suppressed = admitLogLine()
    if (suppressed === undefined) return
    const fields = { event: 'admin_refused', status, ...operatorOf(c) }
    log.warn(
      { ...fields, ...(suppressed > 0 && { suppressed }) },
      'a request to /admin was refused',
    )
  }

  function refuseToken(c: NodeContext, needed: string): Response {
    tell(401, c)
    const response = plain(401, `${needed} is needed\n`)
    response.headers.set('WWW-Authenticate', 'Bearer realm="vestibule admin"')
    return response
  }

  function refuseGuesser(c: NodeContext, client: string): Response {
    tell(429, c)
    const response = plain(429, 'too many wrong tokens\n')
    const leftMs = failures.getRemainingTTL(client)
    response.headers.set('Retry-After', String(Math.max(1, Math.ceil(leftMs / 1000))))
    return response
  }

  function refuseBroadcaster(c: NodeContext): Response {
    tell(403, c)
    return plain(403, `BROADCAST_TOKEN opens ${BROADCAST_PATH} alone\n`)
  }

  /** Returns the names of the tokens that open a path. */
  function openersOf(path: string): string[] {
    return [
      ...(token === undefined ? [] : ['ADMIN_TOKEN']),
      ...(broadcastToken === undefined || path !== BROADCAST_PATH ? [] : ['BROADCAST_TOKEN']),
    ]
  }

  return function guard(c: NodeContext): Response | undefined {
    const openers = openersOf(c.req.path)
    if (openers.length === 0) return plain(404, 'not found\n')
    const { client } = operatorOf(c)
    const count = failures.get(client) ?? 0
    if (count >= MAX_FAILURES) return refuseGuesser(c, client)
    const given = tokenOf(c)
    const [isAdmin, isBroadcaster] = [isAdminToken(given), isBroadcastToken(given)]
    if (isAdmin) return undefined
    if (isBroadcaster) return openers.includes('BROADCAST_TOKEN') ? undefined : refuseBroadcaster(c)
    // A request without a token is no guess.
    if (given !== '') failures.set(client, count + 1)
    return refuseToken(c, openers.join(' or '))
  }
}

function tokenOf(c: NodeContext): string {
  return /^Bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? ''
}

/** Returns a comparison in constant time, by digests because `timingSafeEqual` needs equal lengths. */
function matcherOf(token: string | undefined): (given: string) => boolean {
  if (token === undefined) return () => false
  const expected = digest(token)
  return (given) => timingSafeEqual(digest(given), expected)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
