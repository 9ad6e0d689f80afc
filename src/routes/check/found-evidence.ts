import type { Evidence } from '../../core/decision.ts'
import type { CachedSession, PresentedSession } from '../../session/session-cache.ts'
import type { CheckSource } from '../../telemetry/metrics.ts'

/** Evidence of a request and what it rests on. */
export interface FoundEvidence {
  readonly evidence: Evidence
  readonly source: CheckSource
  /** Session that the store has confirmed, for which a 200 may renew the outage cookie. */
  readonly confirmed?: ConfirmedCookie
}

/** Evidence of a request that presents nothing. */
export const NOBODY: FoundEvidence = { evidence: { kind: 'none' }, source: 'none' }

/** Session that the store has confirmed, and the cookie that names it. */
export interface ConfirmedCookie {
  readonly found: CachedSession
  readonly cookie: PresentedCookie
}

/** Session cookie of a request, with the realm it was sent to. */
export type PresentedCookie = Omit<PresentedSession, 'digest'>
