import { AuthError, invalidRequest } from '../../errors.ts'
import { json } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import type { Backplane } from '../../replicas/backplane.ts'
import { REGIONS, type Region } from '../../replicas/message.ts'
import { createAdminGuard } from './guard.ts'
import { operatorOf, readParameters } from './request.ts'
import { type AdminSessions, type AdminSessionsOptions, createAdminSessions } from './sessions.ts'
import { type AdminTokens, type AdminTokensOptions, createAdminTokens } from './tokens.ts'

export interface AdminOptions extends AdminSessionsOptions, AdminTokensOptions {
  /** Absent = there is no `/admin`. */
  readonly token: string | undefined
  readonly caches: Readonly<Record<Region, { clear(): void; readonly size: number }>>
  readonly backplane: Backplane
}

/** `/admin` on the internal listener, for operators with `ADMIN_TOKEN`. */
export interface Admin extends AdminSessions, AdminTokens {
  /** What keeps everybody else out; nothing for an operator. */
  readonly guard: (c: NodeContext) => Response | undefined
  readonly showCache: (c: NodeContext) => Response
  readonly clearCache: (c: NodeContext) => Promise<Response>
}

export function createAdmin(options: AdminOptions): Admin {
  const { caches, backplane, log } = options
  const sizes = () => Object.fromEntries(REGIONS.map((each) => [each, caches[each].size]))
  return {
    guard: createAdminGuard(options),
    ...createAdminSessions(options),
    ...createAdminTokens(options),

    showCache(c) {
      readParameters(c, [])
      const [entries, operator] = [sizes(), operatorOf(c)]
      log.info({ event: 'cache_shown', ...operator }, 'an operator looked at the caches')
      return json(200, { entries }, operator.request_id)
    },

    /** Here first, then everywhere: where the others cannot be told the answer says so. */
    async clearCache(c) {
      const region = readRegion(c)
      const regions = region === undefined ? REGIONS : [region]
      const about = { regions, ...operatorOf(c) }
      for (const each of regions) caches[each].clear()
      await backplane
        .publish(region === undefined ? { type: 'clear-all' } : { type: 'clear', region })
        .catch((cause: unknown) => {
          log.error({ event: 'cache_not_cleared', ...about }, 'the cache was cleared here alone')
          throw new AuthError('store_unavailable', 'the other replicas could not be told', {
            cause,
            isPublic: true,
          })
        })
      log.info({ event: 'cache_cleared', ...about }, 'cache cleared')
      return json(200, { cleared: regions }, about.request_id)
    },
  }
}

function readRegion(c: NodeContext): Region | undefined {
  const inPath = c.req.param('region')
  const { region: name = inPath } = readParameters(c, inPath === undefined ? ['region'] : [])
  if (name === undefined) return undefined
  const region = REGIONS.find((each) => each === name)
  if (region) return region
  throw invalidRequest(`There is no such region; there are ${REGIONS.join(' and ')}.`)
}
