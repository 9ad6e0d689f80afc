import type { Identity } from '../../core/identity.ts'
import type { AnswerFacts } from '../../oidc/refresh.ts'

/** Result of a refresh, for metrics and logs. */
export type RefreshResult =
  | 'refreshed'
  /**
   * The session has ended: by `invalid_grant`, by another definite refusal after its grace, by an answer about another
   * subject, or with all of its user's.
   */
  | 'refused'
  | 'rejected'
  | 'revoked'
  /** The session keeps its present tokens for now. */
  | 'failed'
  /** New tokens belong to a session that another replica has refreshed or ended meanwhile. */
  | 'late'
  | 'gone'
  /** New tokens were not stored, because the process ended first or the store refused them. */
  | 'lost'

/** Cause of a failure or an end, for the log. */
export type Cause = Partial<AnswerFacts>

/** User of the session and, where it failed, the cause. */
export interface RefreshReport extends Cause {
  readonly identity: Identity
}
