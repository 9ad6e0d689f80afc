import type { EpochMs } from '../../core/epoch-ms.ts'
import type { Sites } from '../../core/site.ts'
import type { KeyRing } from '../../crypto/key-ring.ts'
import type { Addresses } from '../../http/addresses.ts'
import { plain } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import type { NodeContext } from '../../http/request.ts'
import type { PageWriter } from '../../http/write-page.ts'
import type { Sessions } from '../../session/sessions.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export interface OwnSessionsOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly knownSites: Sites
  readonly ring: KeyRing
  readonly sessions: Sessions
  readonly realmOf: (host: string) => string
  readonly writePage: PageWriter
  readonly now: () => EpochMs
  readonly log: Log
  readonly metrics: Metrics
}

/** Serves `BASE_PATH/sessions`, where people see and end their own sessions. */
export function createOwnSessions(_options: OwnSessionsOptions) {
  return {
    ownSessions: async (_c: NodeContext): Promise<Response> => plain(404),
    endOwnSessions: async (_c: NodeContext): Promise<Response> => plain(404),
  }
}
