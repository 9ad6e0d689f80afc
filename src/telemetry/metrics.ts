import { Counter, collectDefaultMetrics, Registry } from 'prom-client'
import { createCheckMetrics, type LookUp } from './check-metrics.ts'
import { createEventMetrics, type EventMetrics } from './event-metrics.ts'
import { addGauges, type Observed } from './gauges.ts'
import { createRedisMetrics, type RedisMetrics } from './redis-metrics.ts'
import { createRulesMetrics, type RulesMetrics } from './rules-metrics.ts'
import { createSignInMetrics, type SignInMetrics } from './sign-in-metrics.ts'

/** Outcome of a check, as a label. */
export type CheckOutcome =
  | 'allow'
  | 'sign_in'
  | 'unauthenticated'
  | 'forbidden'
  | 'refused'
  | 'unavailable'

/** Source of a check's evidence, as a label. */
export type CheckSource = 'memory' | 'store' | 'l1' | 'assertion' | 'bearer' | 'rule' | 'none'

/** Results of a refresh, as labels; each starts at 0, because `increase()` does not see a series that begins at 1. */
const REFRESH_RESULTS = [
  'refreshed',
  'refused',
  'rejected',
  'revoked',
  'failed',
  'late',
  'gone',
  'lost',
] as const

/** Results of a back-channel logout, as labels; each starts at 0. */
const LOGOUT_RESULTS = ['done', 'deferred', 'replayed', 'refused', 'failed'] as const

/** Counters, gauges and histograms of the service; each call counts one event. */
export interface Metrics extends RedisMetrics, EventMetrics, RulesMetrics, SignInMetrics {
  readonly registry: Registry
  readonly check: (outcome: CheckOutcome, source: CheckSource, seconds: number) => void
  readonly sessionCacheLookUp: (result: LookUp) => void
  signOut(): void
  sessionsEndedByOperator(count: number): void
  sessionsEndedByUser(count: number): void
  refresh(result: (typeof REFRESH_RESULTS)[number]): void
  tokenRevocationFailed(): void
  backchannelLogout(result: (typeof LOGOUT_RESULTS)[number]): void
  replayRefused(kind: string): void
  aliasRefused(): void
  foreignHostRefused(): void
  duplicateCookie(): void
  loopStopped(): void
  integrityFailure(): void
  /** Adds the gauges; called once, after everything they read has been created. */
  observe(observed: Observed): void
}

let ofProcess: Registry | undefined

/** Collects process metrics once, because the observers of event loop and garbage collection cannot be stopped. */
function processMetrics(): Registry {
  if (!ofProcess) {
    ofProcess = new Registry()
    collectDefaultMetrics({ register: ofProcess, prefix: 'vestibule_' })
  }
  return ofProcess
}

/** Creates metrics with a registry of their own, so that services in one process do not mix. No label comes from a request (threat A93). */
export function createMetrics({ hasRedis }: { readonly hasRedis: boolean }): Metrics {
  const registry = Registry.merge([processMetrics()])
  const registers = [registry]
  const checks = createCheckMetrics(registry)
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `vestibule_${name}_total`, help, labelNames, registers })
  const signOuts = counter('sign_outs', 'Sessions ended by their users')
  const endedByOperators = counter('sessions_ended_by_operators', 'Sessions ended through /admin')
  const endedByUsers = counter(
    'sessions_ended_by_users',
    'Sessions that their users ended from another session',
  )
  const tokenRevocations = counter(
    'token_revocations_failed',
    'Sign-outs whose tokens could not be revoked at the provider',
  )
  const backchannelLogouts = counter(
    'backchannel_logouts',
    'Back-channel logouts of the provider',
    ['result'],
  )
  for (const result of LOGOUT_RESULTS) backchannelLogouts.inc({ result }, 0)
  const refreshes = counter('refreshes', 'Refreshes of the provider’s tokens', ['result'])
  for (const result of REFRESH_RESULTS) refreshes.inc({ result }, 0)
  const replays = counter('replays_refused', 'One-time values presented a second time', ['kind'])
  for (const kind of ['login', 'id-token', 'bearer', 'dpop', 'logout-token']) {
    replays.inc({ kind }, 0)
  }
  const aliases = counter(
    'alias_headers_refused',
    'Requests with another spelling of a trusted header',
  )
  const foreignHosts = counter('foreign_hosts_refused', 'Requests for hosts that are not protected')
  const duplicates = counter('duplicate_cookies', 'Requests with several different session cookies')
  const loops = counter('sign_in_loops', 'Sign-in loops that were stopped')
  const integrity = counter(
    'store_integrity_failures',
    'Stored records that could not be decrypted',
  )
  const redis = createRedisMetrics(registry, hasRedis)
  return {
    registry,
    check: checks.count,
    sessionCacheLookUp: checks.lookUp,
    signOut: () => signOuts.inc(),
    sessionsEndedByOperator: (count) => endedByOperators.inc(count),
    sessionsEndedByUser: (count) => endedByUsers.inc(count),
    refresh: (result) => refreshes.inc({ result }),
    tokenRevocationFailed: () => tokenRevocations.inc(),
    backchannelLogout: (result) => backchannelLogouts.inc({ result }),
    replayRefused: (kind) => replays.inc({ kind }),
    aliasRefused: () => aliases.inc(),
    foreignHostRefused: () => foreignHosts.inc(),
    duplicateCookie: () => duplicates.inc(),
    loopStopped: () => loops.inc(),
    integrityFailure: () => integrity.inc(),
    ...createEventMetrics(registry),
    ...createRulesMetrics(registry),
    ...createSignInMetrics(registry),
    ...redis,
    observe: (observed) => addGauges(registry, observed),
  }
}
