import type { EndReason } from '../../core/end-reason.ts'
import type { EpochMs } from '../../core/epoch-ms.ts'
import type { Identity } from '../../core/identity.ts'
import { type IdentityOptions, renewIdentity, toIdentity } from '../../core/read-identity.ts'
import type { Renewal, Session, TokenKind } from '../../core/session.ts'
import type { RefreshAnswer } from '../../oidc/refresh.ts'
import type { RevocableTokens } from '../../oidc/sign-in.ts'
import type { SessionsByOwner } from '../../store/sessions-by-owner.ts'
import type { Replacement } from '../../store/store.ts'
import { keptTokens, renewalOf } from '../kept-tokens.ts'
import { namedOwnersOf } from '../owners.ts'
import { endOfIdToken } from '../passed-tokens.ts'
import type { SessionCodec, Tokens } from '../records.ts'
import type { SessionCache } from '../session-cache.ts'
import type { RenewedRecords } from './renewed-records.ts'
import type { Cause, RefreshReport, RefreshResult } from './result.ts'
import {
  type AnsweredRefresh,
  createRivals,
  type RivalOptions,
  unlessOutage,
  untilAgain,
} from './rivals.ts'

/** Earliest time of the next attempt. */
export type NextTry =
  | { readonly kind: 'now' }
  | { readonly kind: 'soon' }
  /** Starts a back-off of at least `retryAfterMs`, the provider's `Retry-After` (0 = none), and at most `atMostMs`. */
  | {
      readonly kind: 'after-failure'
      readonly why: Cause
      readonly retryAfterMs: number
      readonly atMostMs?: number
    }

/** Carries out what an answer of the provider means for a session. */
export interface RefreshOutcomes {
  /** Ends, keeps or renews the session as the provider has answered, and retries through store outages. */
  conclude(refresh: AnsweredRefresh, outcome: RefreshAnswer): Promise<NextTry>
  /** Ends the session and reports the result. Rejects with the store's errors. */
  end(digest: string, ended: RefreshEnd, session: Session, why?: Cause): Promise<NextTry>
  /** Expires the cached session, so that the next request reads the store. */
  leave(digest: string): NextTry
}

/** End of a session by a refresh: the result for log and metrics, and the reason that its pages are told. */
export interface RefreshEnd {
  readonly result: RefreshResult
  readonly reason: EndReason
}

export interface RefreshOutcomesOptions extends RivalOptions {
  readonly sessionsByOwner: SessionsByOwner
  readonly renewedRecords: RenewedRecords
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly identity: IdentityOptions
  /** Tokens that apps are given, each of which a refresh must renew before it ends. */
  readonly passedTokens: ReadonlySet<TokenKind>
  /** Time after the access token's end for which a session goes on without a refresh. */
  readonly patienceMs: number
  readonly endSession: (digest: string, reason: EndReason) => Promise<unknown>
  /** Revokes tokens whose session has ended (RFC 7009). */
  readonly revokeTokens: (tokens: RevocableTokens) => Promise<void>
  readonly now: () => EpochMs
  /** Called with each session whose tokens this replica has renewed. */
  readonly onRenewed: (digest: string) => void
  readonly onResult: (result: RefreshResult, about: RefreshReport) => void
}

type Refreshed = RefreshAnswer & { readonly kind: 'refreshed' }
type Unsuccessful = RefreshAnswer & { readonly kind: 'declined' | 'failed' }

const REFUSED: RefreshEnd = { result: 'refused', reason: 'provider' }
const REJECTED: RefreshEnd = { result: 'rejected', reason: 'provider' }

/** Bounds the difference of the clocks that measure a grace and a back-off, and the rounding of a lock's lifetime. */
const CLOCK_MS = 10

/** Creates what follows an answer of the provider; it writes by compare-and-set, because the lock may have expired. */
export function createRefreshOutcomes(options: RefreshOutcomesOptions): RefreshOutcomes {
  const { codec, sessionCache, ending, now } = options
  const rivals = createRivals(options)

  function leave(digest: string): NextTry {
    sessionCache.expire(digest)
    return { kind: 'now' }
  }

  async function end(
    digest: string,
    { result, reason }: RefreshEnd,
    { identity }: Session,
    why: Cause = {},
  ): Promise<NextTry> {
    await options.endSession(digest, reason)
    options.onResult(result, { identity, ...why })
    return leave(digest)
  }

  function fail({ identity }: Session, failed: Unsuccessful) {
    const why = whyOf(failed)
    options.onResult('failed', { identity, ...why })
    return { kind: 'after-failure', why, retryAfterMs: failed.retryAfterMs ?? 0 } as const
  }

  async function endUnlessElsewhere(refresh: AnsweredRefresh, why: Cause): Promise<NextTry> {
    const { digest } = refresh.presented
    return (await rivals.isElsewhere(refresh))
      ? leave(digest)
      : end(digest, REFUSED, refresh.before.session, why)
  }

  /**
   * Ends a session that the provider will not refresh once its grace is over (finding C20). The back-off ends with the grace,
   * so that the next check then asks once more and every replica learns of the end from the store.
   */
  async function decline(refresh: AnsweredRefresh, declined: Unsuccessful): Promise<NextTry> {
    const { session } = refresh.before
    // Present, because no other session is refreshed.
    const { endsAt } = session.renewal as Renewal
    const leftMs = endsAt + options.patienceMs - now()
    if (leftMs <= 0) return endUnlessElsewhere(refresh, whyOf(declined))
    return { ...fail(session, declined), atMostMs: Math.max(0, leftMs - CLOCK_MS) }
  }

  /** Returns `undefined` for the ID token before, because no refresh has to come before the end of one that none renews. */
  function endOfNewIdToken({ idToken }: Tokens, before: Tokens): EpochMs | undefined {
    const isNew = options.passedTokens.has('id-token') && idToken !== before.idToken
    return isNew ? endOfIdToken(idToken) : undefined
  }

  async function save({ presented, before }: AnsweredRefresh, answer: Refreshed): Promise<NextTry> {
    const { issued } = answer
    const { digest, credential, realm } = presented
    const key = { secret: credential.secret, realm }
    const nowMs = now()
    const tokens = keptTokens(issued, nowMs, before.tokens)
    const { renewal: _, ...kept } = before.session
    const renewal = renewalOf(tokens, nowMs, endOfNewIdToken(tokens, before.tokens))
    const identity = identityAfter(answer, before.session.identity, options.identity)
    const session: Session = { ...kept, identity, ...(renewal && { renewal }) }
    const records = {
      identity: codec.seal(digest, 'identity', session, key),
      tokens: codec.seal(digest, 'tokens', tokens, key),
    }
    const stored = await storeAtLast(() =>
      options.renewedRecords.write(digest, records, before.sealedTokens),
    )
    options.onResult(RESULTS[stored], { identity })
    if (stored === 'replaced') {
      options.onRenewed(digest)
      await index(digest, session)
    }
    // Leaves the tokens of a `late` result alone, because revoking them may end those of the faster replica.
    if (stored === 'gone') {
      sessionCache.evict(digest)
      await options.revokeTokens(issued).catch(() => undefined)
    }
    sessionCache.expire(digest)
    // Pauses even for tokens that expire at once, so that the provider is not asked in a loop.
    return { kind: 'soon' }
  }

  /** Repairs an index that lacks the session: that of another primary which came back with old data. */
  async function index(digest: string, session: Session): Promise<void> {
    const leftMs = session.expiresAt - now()
    await options.sessionsByOwner
      .add(digest, namedOwnersOf(session), leftMs)
      // Ignores a failure, because the next refresh repairs the index as well.
      .catch(() => undefined)
  }

  /** Retries until the store takes the tokens or the process ends, because the previous refresh token may be spent. */
  async function storeAtLast(write: () => Promise<Replacement>): Promise<Replacement | 'lost'> {
    while (!ending.aborted) {
      const stored = await write()
        .catch(unlessOutage)
        .catch(() => 'lost' as const)
      if (stored !== undefined) return stored
      await untilAgain(ending)
    }
    return 'lost'
  }

  return {
    end,
    leave,
    async conclude(refresh, outcome) {
      const { digest } = refresh.presented
      const { session } = refresh.before
      switch (outcome.kind) {
        case 'refreshed':
          return save(refresh, outcome)
        case 'refused':
          return endUnlessElsewhere(refresh, whyOf(outcome))
        case 'rejected':
          return end(digest, REJECTED, session, whyOf(outcome))
        case 'declined':
          return decline(refresh, outcome)
        case 'failed':
          return fail(session, outcome)
      }
    },
  }
}

function identityAfter(
  { claims, lacksUserInfo }: Refreshed,
  known: Identity,
  options: IdentityOptions,
): Identity {
  if (!claims) return known
  return lacksUserInfo ? renewIdentity(known, claims, options) : toIdentity(claims, options)
}

function whyOf({ reason, facts }: Cause): Cause {
  return { ...(reason !== undefined && { reason }), ...(facts && { facts }) }
}

const RESULTS = { replaced: 'refreshed', changed: 'late', gone: 'gone', lost: 'lost' } as const
