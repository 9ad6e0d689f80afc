import type { Identity, IdentityOptions } from '../../core/identity.ts'
import { type EpochMs, renewalNeed } from '../../core/session.ts'
import type { RefreshTokens } from '../../oidc/refresh.ts'
import type { RevocableTokens } from '../../oidc/sign-in.ts'
import type { Generations } from '../../store/generations.ts'
import type { SessionIndex } from '../../store/session-index.ts'
import type { Settling } from '../../store/settling.ts'
import type { Store } from '../../store/store.ts'
import { ownersOf } from '../owners.ts'
import type { SessionCodec } from '../records.ts'
import type { PresentedSession, SessionCache } from '../session-cache.ts'
import type { RefreshLock } from './locks.ts'
import { createRefreshOutcomes, type Stored } from './outcome.ts'
import type { RenewedRecords } from './renewed-records.ts'

/** What came of a refresh, for metrics and logs. */
export type RefreshResult =
  | 'refreshed'
  /** The session has ended: by `invalid_grant`, by an answer about somebody else, or with all of its user's. */
  | 'refused'
  | 'rejected'
  | 'revoked'
  /** The session goes on with what it has, for now. */
  | 'failed'
  /** Tokens came for a session that somebody else had refreshed or ended meanwhile. */
  | 'late'
  | 'gone'
  /** New tokens were not stored, because the process ended first or the store refused them. */
  | 'lost'

export interface RefreshReport {
  readonly identity: Identity
  readonly reason?: string
}

export interface RefreshOnceOptions {
  readonly store: Store
  readonly sessionIndex: SessionIndex
  readonly settling: Settling
  readonly renewedRecords: RenewedRecords
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly identity: IdentityOptions
  readonly refreshTokens: RefreshTokens
  readonly endSession: (digest: string) => Promise<unknown>
  /** Takes tokens back that belong to no session any more. */
  readonly revokeTokens: (tokens: RevocableTokens) => Promise<void>
  /** Aborted when the process is about to end. */
  readonly ending: AbortSignal
  readonly now: () => EpochMs
  readonly onResult: (result: RefreshResult, about: RefreshReport) => void
}

/** When the session may be tried again. */
export type NextTry =
  | { readonly kind: 'now' }
  | { readonly kind: 'soon' }
  /** After the pause of one that failed, and not before the provider wants to be asked. */
  | { readonly kind: 'after-failure'; readonly retryAfterMs: number }

/** Refreshes a session whose lock the caller holds. */
export type RefreshOnce = (held: PresentedSession, lock: RefreshLock) => Promise<NextTry>

/** Reads what the store has now, asks the provider once, and writes only over what was read. */
export function createRefreshOnce(options: RefreshOnceOptions): RefreshOnce {
  const { store, generations, codec, sessionCache, now } = options
  const outcomes = createRefreshOutcomes({ ...options, read })

  async function read({
    digest,
    credential,
    realm,
  }: PresentedSession): Promise<Stored | undefined> {
    const sealed = await store.read(digest, ['identity', 'tokens'])
    const holder = { secret: credential.secret, realm }
    const session = codec.open(digest, 'identity', sealed.identity, holder)
    const tokens = codec.open(digest, 'tokens', sealed.tokens, holder)
    return session && tokens && sealed.tokens && { session, tokens, sealedTokens: sealed.tokens }
  }

  return async (held, lock) => {
    const { digest } = held
    const before = await read(held)
    const refreshToken = before?.tokens.refreshToken
    // Somebody was faster, or the session has ended: what is known here is old.
    if (!before) sessionCache.evict(digest)
    if (!before || refreshToken === undefined) return outcomes.leave(digest)
    const { session, tokens } = before
    const { issuer, subject } = session.identity
    if (renewalNeed(session, now(), 0) === 'none') return outcomes.leave(digest)
    const owners = ownersOf(session).map(({ id }) => id)
    if ((await generations.oldestOf(...owners)) > (tokens.generation ?? 0)) {
      return outcomes.end(digest, 'revoked', session)
    }
    if (!(await lock.announce())) return { kind: 'soon' }
    const refreshable = { refreshToken, idToken: tokens.idToken, issuer, subject }
    return outcomes.conclude({ held, lock, before }, await options.refreshTokens(refreshable))
  }
}
