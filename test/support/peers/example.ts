import type { SentClaims } from '../policy-model/written.ts'

/** Answers that every peer has: the app is reached, a stranger is sent to sign in, or the request is refused. */
export type Outcome = 'pass' | 'sign in' | 'refuse'

/** Request of a navigating browser. */
export interface PeerRequest {
  /** Absolute URL; absent for the start page of `app.example.com`. */
  readonly url?: string
  readonly method?: string
  /** Query of the middleware's address. */
  readonly query?: string
  /** `X-Forwarded-For` as the proxy sends it. */
  readonly from?: string
}

/** URL of rows without one. */
export const START_PAGE = 'https://app.example.com/'

/** Row of the table: who asks for what, and both answers. */
export interface Comparison extends PeerRequest {
  /** Claims of the person; absent for a stranger. */
  readonly who?: SentClaims
  readonly theirs: Outcome
  /** Ours where it differs, with the reason. */
  readonly ours?: readonly [outcome: Outcome, reason: string]
}

/** Configuration of a peer from its documentation, shortened, with the same in ours. */
export interface PeerExample {
  readonly peer: string
  /** Page that has the example or describes its parts. */
  readonly page: string
  readonly theirs: string
  /** Settings file. */
  readonly ours: string
  readonly rows: readonly Comparison[]
}
