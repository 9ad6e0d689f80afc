import { createDeniedTokens, type DeniedTokens } from '../bearer/denied-tokens.ts'
import { createProofVerifier, type VerifyProof } from '../bearer/dpop-proof.ts'
import { createTrustedIssuers } from '../bearer/trusted-issuers.ts'
import { type BearerVerifier, createBearerVerifier } from '../bearer/verify-bearer.ts'
import type { Config } from '../config/config.ts'
import type { LiveRules } from '../core/access/rule-set.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Oidc } from './oidc.ts'

/** Bearer tokens: how they are verified and denied. */
export interface Bearers {
  readonly verifier: BearerVerifier
  readonly verifyProof: VerifyProof
  readonly deniedTokens: DeniedTokens
  /** Returns the issuers whose tokens at least one rule accepts. */
  readonly issuers: () => ReadonlySet<string>
  close(): void
}

export interface ComposeBearersOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly state: SharedState
  readonly oidc: Oidc
  readonly rules: LiveRules
}

/** Makes the verifier of bearer tokens. Further issuers are discovered when their first token arrives. */
export function composeBearers(options: ComposeBearersOptions): Bearers {
  const { config, log, metrics, now, state, oidc } = options
  const { settings } = config
  const issuers = () => options.rules.current.set.issuers
  const deniedTokens = createDeniedTokens({
    denyList: state.denyList,
    isUsed: () => issuers().size > 0,
    firstAttempt: state.firstAttempt,
    isAvailable: () => state.isAvailable,
    onUnread: () =>
      log.warn(
        { event: 'deny_list_unread' },
        'the deny list could not be read yet: denied bearer tokens are accepted until it is',
      ),
    onDoubt: () => metrics.degradedDecision('deny-list'),
  })
  const trusted = createTrustedIssuers({
    issuers,
    connect: (issuerUrl) =>
      issuerUrl === settings.OIDC_ISSUER_URL ? oidc.provider : oidc.connectIssuer(issuerUrl),
    keySets: oidc.keySets,
  })
  return {
    verifier: createBearerVerifier({
      issuers: trusted,
      denied: deniedTokens,
      clientId: settings.OIDC_CLIENT_ID,
      identity: oidc.identity,
      withAccessToken: config.passedTokens.has('access-token'),
      now,
    }),
    verifyProof: createProofVerifier(now),
    deniedTokens,
    issuers,
    close() {
      trusted.close()
      deniedTokens.close()
    },
  }
}
