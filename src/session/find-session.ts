import type { EpochMs } from '../core/epoch-ms.ts'
import type { Session, SessionCredential, TokenKind } from '../core/session.ts'
import { isAlive } from '../core/session.ts'
import { OutageError } from '../errors.ts'
import type { RecordPart, SealedRecords, Store } from '../store/store.ts'
import type { OutageAssertions } from './outage-assertion.ts'
import { withPassedTokens } from './passed-tokens.ts'
import { type SessionCodec, sessionDigest, type Tokens } from './records.ts'
import type { Revocations } from './revocations.ts'
import type { CachedSession, FillTicket, PresentedSession, SessionCache } from './session-cache.ts'

/** Session that was found, by its source. */
export type FoundSession = ConfirmedSession | StandInSession

/** Session that the store has confirmed, in this read or so recently that memory answers for it. */
export interface ConfirmedSession extends CachedSession {
  readonly source: 'memory' | 'store'
}

/**
 * Session that stands in during a store outage: from an entry of L1 too old to be served otherwise (`l1`), or from an
 * outage assertion.
 */
export interface StandInSession {
  readonly source: 'l1' | 'assertion'
  readonly session: Session
}

export interface FindOptions {
  /** Bounds the wait for the store; defaults to the store's own deadline. */
  readonly timeoutMs?: number
  /** Fallback during a store outage; without it an outage rejects. */
  readonly standIn?: StandIn
  /** False where the idle timeout goes on as if nobody had asked. */
  readonly isUse?: boolean
}

/** Evidence that may replace the store during an outage. */
export interface StandIn {
  /** Returns the outage assertion that was sent with the session cookie. */
  readonly assertion: () => string | undefined
}

/** Finds the session of a cookie in memory, in the store, or in what stands in for it. */
export interface SessionFinder {
  /** Returns a session from memory, without a round trip; `isUse` as in `FindOptions`. */
  recall(
    credential: SessionCredential,
    realm: string,
    isUse?: boolean,
  ): ConfirmedSession | undefined
  /** Reads the session from the store. Rejects with the store's errors; `undefined` only means that there is none. */
  find(
    credential: SessionCredential,
    realm: string,
    options?: FindOptions,
  ): Promise<FoundSession | undefined>
  /** Caches a session that has just been written. */
  keep(presented: PresentedSession, written: WrittenSession, ticket: FillTicket): void
}

/** Session as it was written to the store: its sealed records, and what they hold. */
export interface WrittenSession {
  readonly records: Readonly<Record<RecordPart, Buffer>>
  readonly session: Session
  readonly tokens: Tokens
}

export interface SessionFinderOptions {
  readonly store: Store
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly revocations: Revocations
  readonly assertions: OutageAssertions
  /** Tokens that checks hand out; where there are any, tokens are read together with the identity. */
  readonly passedTokens: ReadonlySet<TokenKind>
  /** Whether concurrent cache misses of one session share a read (single flight). */
  readonly canShareReads: boolean
  readonly now: () => EpochMs
  /** Called for each session found in the store or in memory. */
  readonly onUse: (digest: string, session: Session) => void
}

interface Read {
  readonly ticket: FillTicket
  readonly records: Promise<SealedRecords>
}

/**
 * Creates a finder that asks L1, then the store, and during an outage what stands in for the store: memory, then the
 * assertion.
 */
export function createSessionFinder(options: SessionFinderOptions): SessionFinder {
  const { store, codec, sessionCache, revocations, assertions, passedTokens, now } = options
  const areTokensPassed = passedTokens.size > 0
  const parts: readonly RecordPart[] = areTokensPassed ? ['identity', 'tokens'] : ['identity']
  const pending = new Map<string, Read>()

  function isUsable(digest: string, session: Session): boolean {
    return isAlive(session, now()) && !revocations.has(digest) && !revocations.includes(session)
  }

  function openAll({ digest, credential, realm }: PresentedSession, sealed: SealedRecords) {
    const key = { secret: credential.secret, realm }
    const session = codec.open(digest, 'identity', sealed.identity, key)
    if (!session || !areTokensPassed) return session
    const tokens = codec.open(digest, 'tokens', sealed.tokens, key)
    return tokens && withPassedTokens(session, tokens, passedTokens)
  }

  function read(digest: string, timeoutMs: number | undefined): Read {
    const ticket = sessionCache.fillTicket()
    // Does not share a read without a bound, because checks that join it would wait longer than theirs.
    if (!options.canShareReads || timeoutMs === undefined) {
      return { ticket, records: store.read(digest, parts, timeoutMs) }
    }
    const other = pending.get(digest)
    // Does not join a read from before an eviction, because it may return the evicted session.
    if (other?.ticket.evictions === ticket.evictions) return other
    const own = { ticket, records: store.read(digest, parts, timeoutMs) }
    pending.set(digest, own)
    const forget = () => {
      if (pending.get(digest) === own) pending.delete(digest)
    }
    own.records.then(forget, forget)
    return own
  }

  function openAnswer(
    presented: PresentedSession,
    records: SealedRecords,
    ticket: FillTicket,
    isUse: boolean,
  ): ConfirmedSession | undefined {
    const { digest } = presented
    const known = sessionCache.reopen(presented, records, ticket)
    const session = known?.session ?? openAll(presented, records)
    if (!session || !isUsable(digest, session)) return undefined
    if (isUse) options.onUse(digest, session)
    const { confirmedAtMs } = known ?? sessionCache.keep(presented, records, session, ticket)
    return { session, digest, confirmedAtMs, source: 'store' }
  }

  function findStandIn(
    presented: PresentedSession,
    { assertion }: StandIn,
  ): StandInSession | undefined {
    const { digest, credential, realm } = presented
    const stale = sessionCache.recallStale(credential, realm)
    if (stale) {
      const { session } = stale
      return isUsable(digest, session) ? { session, source: 'l1' } : undefined
    }
    const text = assertion()
    const session = text === undefined ? undefined : assertions.open(text, presented)
    if (!session || !isUsable(digest, session)) return undefined
    return { session, source: 'assertion' }
  }

  return {
    recall(credential, realm, isUse = true) {
      if (!sessionCache.canRecall) return undefined
      const known = sessionCache.recall(credential, realm)
      // Checks deferred orders, because they end sessions without evicting them one by one.
      if (!known || !isAlive(known.session, now()) || revocations.includes(known.session)) {
        return undefined
      }
      const { session, digest, confirmedAtMs } = known
      if (isUse) options.onUse(digest, session)
      return { session, digest, confirmedAtMs, source: 'memory' }
    },

    keep(presented, { records, session, tokens }, ticket) {
      if (areTokensPassed) {
        const passing = withPassedTokens(session, tokens, passedTokens)
        sessionCache.keep(presented, records, passing, ticket)
      } else {
        sessionCache.keep(presented, { identity: records.identity }, session, ticket)
      }
    },

    async find(credential, realm, { timeoutMs, standIn, isUse = true } = {}) {
      const entry = sessionCache.entryOf(credential)
      const digest = entry?.digest ?? sessionDigest(credential)
      const presented = { digest, credential, realm, entry }
      try {
        if (revocations.has(digest)) return undefined
        const { ticket, records } = read(digest, timeoutMs)
        return openAnswer(presented, await records, ticket, isUse)
      } catch (error) {
        // Falls back only in an outage, never after a miss or a nonsensical answer.
        const found =
          standIn && error instanceof OutageError ? findStandIn(presented, standIn) : undefined
        if (!found) throw error
        return found
      }
    },
  }
}
