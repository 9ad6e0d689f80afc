import { AuthError, factsOf, invalidRequest } from '../../errors.ts'
import { json } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import type { Backplane } from '../../replicas/backplane.ts'
import { type MessageBody, REGIONS, type Region } from '../../replicas/message.ts'
import type { Log } from '../../telemetry/log.ts'
import { operatorOf, readParameters, readSessionId } from './request.ts'

export interface AdminCacheOptions {
  readonly caches: Readonly<Record<Region, { clear(): void; readonly size: number }>> & {
    readonly sessions: { evict(digest: string): void }
  }
  readonly backplane: Backplane
  readonly log: Log
}

/** Shows and clears the caches. */
export interface AdminCache {
  readonly showCache: (c: NodeContext) => Response
  readonly clearCache: (c: NodeContext) => Promise<Response>
  readonly evictSession: (c: NodeContext) => Promise<Response>
}

export function createAdminCache({ caches, backplane, log }: AdminCacheOptions): AdminCache {
  /** Logs the order once, and answers 503 where the others cannot be told. */
  async function tellOthers(body: MessageBody, about: object): Promise<void> {
    await backplane.publish(body).catch((cause: unknown) => {
      log.error(
        { event: 'cache_not_cleared', ...factsOf(cause), ...about },
        'the cache was cleared on this replica only: the others could not be told',
      )
      throw new AuthError('store_unavailable', 'the other replicas could not be told', {
        cause,
        facts: factsOf(cause),
        isPublic: true,
      })
    })
    log.info({ event: 'cache_cleared', ...about }, 'an operator cleared the cache')
  }

  return {
    showCache(c) {
      readParameters(c, [])
      const entries = Object.fromEntries(REGIONS.map((each) => [each, caches[each].size]))
      const operator = operatorOf(c)
      log.info({ event: 'cache_shown', ...operator }, 'an operator read the sizes of the caches')
      return json(200, { entries }, operator.request_id)
    },

    /** Clears this replica, then the others. */
    async clearCache(c) {
      const region = readRegion(c)
      const regions = region === undefined ? REGIONS : [region]
      const about = { regions, ...operatorOf(c) }
      for (const each of regions) caches[each].clear()
      await tellOthers(
        region === undefined ? { type: 'clear-all' } : { type: 'clear', region },
        about,
      )
      return json(200, { cleared: regions }, about.request_id)
    },

    /** Evicts one session here, then from the others, whether or not it was cached or exists. */
    async evictSession(c) {
      readParameters(c, [])
      const session = readSessionId(c)
      const about = { session, ...operatorOf(c) }
      caches.sessions.evict(session)
      await tellOthers({ type: 'evict', session, forget: true }, about)
      return json(200, { evicted: session }, about.request_id)
    },
  }
}

function readRegion(c: NodeContext): Region | undefined {
  const inPath = c.req.param('region')
  const { region: name = inPath } = readParameters(c, inPath === undefined ? ['region'] : [])
  if (name === undefined) return undefined
  const region = REGIONS.find((each) => each === name)
  if (region) return region
  throw invalidRequest(`There is no such region; the regions are ${REGIONS.join(' and ')}.`)
}
