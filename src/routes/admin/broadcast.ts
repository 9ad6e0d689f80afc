import type { Sites } from '../../core/site.ts'
import type { Broadcasts } from '../../events/broadcasts.ts'
import { plain } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export interface AdminBroadcastOptions {
  readonly broadcasts: Pick<Broadcasts, 'send'>
  readonly protectedSites: Sites
  /** Issuer of the user that a broadcast names. */
  readonly issuer: string
  readonly log: Log
  readonly metrics: Pick<Metrics, 'broadcast'>
}

export interface AdminBroadcast {
  readonly broadcast: (c: NodeContext) => Promise<Response>
}

/** Serves `POST /admin/broadcast`. */
export function createAdminBroadcast(_options: AdminBroadcastOptions): AdminBroadcast {
  return { broadcast: async () => plain(404) }
}
