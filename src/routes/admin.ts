import { createHash, timingSafeEqual } from 'node:crypto'
import { AuthError, invalidRequest } from '../errors.ts'
import type { Backplane } from '../store/backplane.ts'
import { REGIONS, type Region } from '../store/backplane-message.ts'
import type { Log } from '../telemetry/log.ts'
import { json, plain } from './answers.ts'
import { type NodeContext, requestIdOf } from './node-env.ts'

export interface AdminOptions {
  /** Absent = there is no `/admin`. */
  readonly token: string | undefined
  readonly caches: {
    clear(region: Region): void
    size(region: Region): number
  }
  readonly state: { readonly backplane: Backplane }
  readonly log: Log
}

/** `/admin` on the internal listener, for operators with `ADMIN_TOKEN`. */
export interface Admin {
  /** What keeps everybody else out; nothing for an operator. */
  readonly guard: (c: NodeContext) => Response | undefined
  readonly showCache: (c: NodeContext) => Response
  readonly clearCache: (c: NodeContext) => Promise<Response>
}

export function createAdmin({ token, caches, state, log }: AdminOptions): Admin {
  const expected = token === undefined ? undefined : digest(token)
  const sizes = () => Object.fromEntries(REGIONS.map((each) => [each, caches.size(each)]))
  return {
    guard(c) {
      if (!expected) return plain(404, 'not found\n')
      const given = /^Bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? ''
      if (timingSafeEqual(digest(given), expected)) return undefined
      const response = plain(401, 'ADMIN_TOKEN is needed\n')
      response.headers.set('WWW-Authenticate', 'Bearer realm="vestibule admin"')
      return response
    },

    showCache: (c) => json(200, { entries: sizes() }, requestIdOf(c.env.incoming)),

    /** Here first, then everywhere: where the others cannot be told the answer says so. */
    async clearCache(c) {
      const requestId = requestIdOf(c.env.incoming)
      const region = readRegion(c)
      const regions = region === undefined ? REGIONS : [region]
      for (const each of regions) caches.clear(each)
      await state.backplane
        .publish(region === undefined ? { type: 'clear-all' } : { type: 'clear', region })
        .catch((cause: unknown) => {
          throw new AuthError('store_unavailable', 'the other replicas could not be told', {
            cause,
            isPublic: true,
          })
        })
      log.info({ event: 'cache_cleared', regions, request_id: requestId }, 'cache cleared')
      return json(200, { cleared: regions }, requestId)
    },
  }
}

function readRegion(c: NodeContext): Region | undefined {
  const name = c.req.param('region') ?? c.req.query('region')
  if (name === undefined) return undefined
  const region = REGIONS.find((each) => each === name)
  if (region) return region
  throw invalidRequest(`There is no region ${name}; there are ${REGIONS.join(' and ')}.`)
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
