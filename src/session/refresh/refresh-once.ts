import type { EndReason } from '../../core/end-reason.ts'
import { renewalNeed, type Session } from '../../core/session.ts'
import type { RefreshTokens } from '../../oidc/refresh.ts'
import type { Generations } from '../../store/generations.ts'
import type { Store } from '../../store/store.ts'
import { namedOwnersOf, ownersOf } from '../owners.ts'
import type { Tokens } from '../records.ts'
import type { PresentedSession } from '../session-cache.ts'
import type { RefreshLock } from './locks.ts'
import { createRefreshOutcomes, type NextTry, type RefreshOutcomesOptions } from './outcome.ts'
import type { Stored } from './rivals.ts'

export interface RefreshOnceOptions extends Omit<RefreshOutcomesOptions, 'read'> {
  readonly store: Store
  readonly generations: Generations
  readonly refreshTokens: RefreshTokens
}

/** Refreshes a session whose lock the caller holds. */
export type RefreshOnce = (presented: PresentedSession, lock: RefreshLock) => Promise<NextTry>

/** Reads the stored session, makes one token request and writes by compare-and-set on what was read. */
export function createRefreshOnce(options: RefreshOnceOptions): RefreshOnce {
  const { store, generations, codec, sessionCache, now } = options
  const outcomes = createRefreshOutcomes({ ...options, read })

  async function read(presented: PresentedSession): Promise<Stored | undefined> {
    const { digest, credential, realm } = presented
    const sealed = await store.read(digest, ['identity', 'tokens'])
    const key = { secret: credential.secret, realm }
    const session = codec.open(digest, 'identity', sealed.identity, key)
    const tokens = codec.open(digest, 'tokens', sealed.tokens, key)
    return session && tokens && sealed.tokens && { session, tokens, sealedTokens: sealed.tokens }
  }

  /**
   * Returns the likeliest reason of the order that this session has missed, because generations keep none: an operator's
   * for a user, and the provider's for a provider session.
   */
  async function reasonOfOrder(
    session: Session,
    { generation = 0 }: Tokens,
  ): Promise<EndReason | undefined> {
    const { user } = namedOwnersOf(session)
    const owners = ownersOf(session).map(({ id }) => id)
    if ((await generations.oldestOf(...owners)) <= generation) return undefined
    return (await generations.oldestOf(user)) > generation ? 'operator' : 'provider'
  }

  return async (presented, lock) => {
    const { digest } = presented
    const before = await read(presented)
    const refreshToken = before?.tokens.refreshToken
    // Evicts the cached session, because it has ended in the store.
    if (!before) sessionCache.evict(digest)
    if (!before || refreshToken === undefined) return outcomes.leave(digest)
    const { session, tokens } = before
    const { issuer, subject } = session.identity
    if (renewalNeed(session, now(), 0) === 'none') return outcomes.leave(digest)
    const reason = await reasonOfOrder(session, tokens)
    if (reason) return outcomes.end(digest, { result: 'revoked', reason }, session)
    if (!(await lock.markAsking())) return { kind: 'soon' }
    const refreshable = { refreshToken, idToken: tokens.idToken, issuer, subject }
    return outcomes.conclude({ presented, lock, before }, await options.refreshTokens(refreshable))
  }
}
