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

/** Creates the guard of `/admin`: it returns the refusal, or `undefined` for an operator. Without a token all is 404. */
export function createAdminGuard({ token, log }: { token: string | undefined; log: Log }) {
  const expected = token === undefined ? undefined : digest(token)
  const failures = new LRUCache<string, number>({
    max: MAX_ADDRESSES,
    ttl: FAILURES_MS,
    noUpdateTTL: true,
  })
  const admitLogLine = createThrottle(LOG_PAUSE_MS)

  function refuse(c: NodeContext, status: 401 | 429): Response {
    const suppressed = admitLogLine()
    const operator = operatorOf(c)
    if (suppressed !== undefined) {
      const fields = { event: 'admin_refused', status, ...operator }
      log.warn(
        { ...fields, ...(suppressed > 0 && { suppressed }) },
        'a request to /admin was refused',
      )
    }
    if (status === 401) {
      const response = plain(401, 'ADMIN_TOKEN is needed\n')
      response.headers.set('WWW-Authenticate', 'Bearer realm="vestibule admin"')
      return response
    }
    const response = plain(429, 'too many wrong tokens\n')
    const leftMs = failures.getRemainingTTL(operator.client)
    response.headers.set('Retry-After', String(Math.max(1, Math.ceil(leftMs / 1000))))
    return response
  }

  return function guard(c: NodeContext): Response | undefined {
    if (!expected) return plain(404, 'not found\n')
    const { client } = operatorOf(c)
    const count = failures.get(client) ?? 0
    if (count >= MAX_FAILURES) return refuse(c, 429)
    const header = c.req.header('authorization') ?? ''
    const given = /^Bearer +(.+)$/i.exec(header)?.[1] ?? ''
    if (timingSafeEqual(digest(given), expected)) return undefined
    // A request without a token is no guess.
    if (given !== '') failures.set(client, count + 1)
    return refuse(c, 401)
  }
}

/** Returns a digest, because `timingSafeEqual` needs equal lengths. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
