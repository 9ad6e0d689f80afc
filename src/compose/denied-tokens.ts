import { createDeniedTokens, type DeniedTokens } from '../bearer/denied-tokens.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface ComposeDeniedTokensOptions {
  readonly state: SharedState
  /** Those whose tokens rules accept. */
  readonly bearerIssuers: ReadonlySet<string>
  readonly log: Log
  readonly metrics: Metrics
}

/** The deny list of the shared state, with what log and metrics are told of it. */
export function composeDeniedTokens(options: ComposeDeniedTokensOptions): DeniedTokens {
  const { state, bearerIssuers, log, metrics } = options
  return createDeniedTokens({
    denyList: state.denyList,
    isUsed: bearerIssuers.size > 0,
    firstAttempt: state.firstAttempt,
    isAvailable: () => state.isAvailable,
    onUnread: () =>
      log.warn(
        { event: 'deny_list_unread' },
        'the deny list could not be read yet: tokens of programs that were denied pass until it is',
      ),
    onDoubt: () => metrics.degradedDecision('deny-list'),
  })
}
