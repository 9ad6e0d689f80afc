import type { EpochMs, Session, SessionCredential } from '../core/session.ts'
import { isAlive } from '../core/session.ts'
import { OutageError } from '../errors.ts'
import type { RecordPart, SealedRecords, Store } from '../store/store.ts'
import type { OutageAssertions } from './outage-assertion.ts'
import { type SessionCodec, sessionDigest, type Tokens } from './records.ts'
import type { Revocations } from './revocations.ts'
import type { CachedSession, FillTicket, PresentedSession, SessionCache } from './session-cache.ts'

/** Session that was found, and its source. */
export interface FoundSession extends CachedSession {
  readonly source: SessionSource
}

/** Source of a session; `l1` and `assertion` stand in during a store outage. */
export type SessionSource = 'memory' | 'store' | 'l1' | 'assertion'

export interface FindOptions {
  /** Bounds the wait for the store; defaults to the store's own deadline. */
  readonly timeoutMs?: number
  /** Fallback during a store outage; without it an outage rejects. */
  readonly standIn?: StandIn
}

export interface StandIn {
  /** Returns the outage assertion that was sent with the session cookie. */
  readonly assertion: () => string | undefined
}

export interface SessionFinder {
  /** Returns a session from memory, without a round trip. */
  recall(credential: SessionCredential, realm: string): FoundSession | undefined
  /** Reads the session from the store. Rejects with the store's errors; `undefined` only means that there is none. */
  find(
    credential: SessionCredential,
    realm: string,
    options?: FindOptions,
  ): Promise<FoundSession | undefined>
  /** Caches a session that has just been written. */
  keep(
    presented: PresentedSession,
    records: Readonly<Record<RecordPart, Buffer>>,
    session: Session,
    tokens: Tokens,
    ticket: FillTicket,
  ): void
}

export interface SessionFinderOptions {
  readonly store: Store
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly revocations: Revocations
  readonly assertions: OutageAssertions
  /** Whether checks hand out access tokens, which are then read together with the identity. */
  readonly withAccessToken: boolean
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

export function createSessionFinder(options: SessionFinderOptions): SessionFinder {
  const { store, codec, sessionCache, revocations, assertions, now } = options
  const parts: readonly RecordPart[] = options.withAccessToken
    ? ['identity', 'tokens']
    : ['identity']
  const pending = new Map<string, Read>()

  function isUsable(digest: string, session: Session): boolean {
    return isAlive(session, now()) && !revocations.has(digest) && !revocations.includes(session)
  }

  function openAll({ digest, credential, realm }: PresentedSession, sealed: SealedRecords) {
    const key = { secret: credential.secret, realm }
    const session = codec.open(digest, 'identity', sealed.identity, key)
    if (!session || !options.withAccessToken) return session
    const tokens = codec.open(digest, 'tokens', sealed.tokens, key)
    return tokens && withAccessToken(session, tokens)
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

  async function findInStore(
    presented: PresentedSession,
    timeoutMs?: number,
  ): Promise<FoundSession | undefined> {
    const { digest } = presented
    if (revocations.has(digest)) return undefined
    const { ticket, records: answer } = read(digest, timeoutMs)
    const records = await answer
    const known = sessionCache.reopen(presented, records, ticket)
    const session = known?.session ?? openAll(presented, records)
    if (!session || !isUsable(digest, session)) return undefined
    options.onUse(digest, session)
    const { confirmedAtMs } = known ?? sessionCache.keep(presented, records, session, ticket)
    return { session, confirmedAtMs, source: 'store' }
  }

  function findStandIn(
    presented: PresentedSession,
    { assertion }: StandIn,
  ): FoundSession | undefined {
    const { digest, credential, realm } = presented
    if (revocations.has(digest)) return undefined
    const stale = sessionCache.recallStale(digest, credential, realm)
    if (stale) {
      const { session, confirmedAtMs } = stale
      return isUsable(digest, session) ? { session, confirmedAtMs, source: 'l1' } : undefined
    }
    const text = assertion()
    const session = text === undefined ? undefined : assertions.open(text, presented)
    if (!session || !isUsable(digest, session)) return undefined
    return { session, confirmedAtMs: Number.NEGATIVE_INFINITY, source: 'assertion' }
  }

  return {
    recall(credential, realm) {
      if (!sessionCache.canRecall) return undefined
      const digest = sessionDigest(credential)
      const known = sessionCache.recall(digest, credential, realm)
      // Checks deferred orders, because they end sessions without evicting them one by one.
      if (!known || !isAlive(known.session, now()) || revocations.includes(known.session)) {
        return undefined
      }
      options.onUse(digest, known.session)
      return { session: known.session, confirmedAtMs: known.confirmedAtMs, source: 'memory' }
    },

    keep(presented, sealed, session, tokens, ticket) {
      if (options.withAccessToken) {
        sessionCache.keep(presented, sealed, withAccessToken(session, tokens), ticket)
      } else {
        sessionCache.keep(presented, { identity: sealed.identity }, session, ticket)
      }
    },

    async find(credential, realm, { timeoutMs, standIn } = {}) {
      const presented = { digest: sessionDigest(credential), credential, realm }
      try {
        return await findInStore(presented, timeoutMs)
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

function withAccessToken(session: Session, { accessToken, accessTokenExpiresAt }: Tokens): Session {
  const expiry = accessTokenExpiresAt === undefined ? {} : { expiresAt: accessTokenExpiresAt }
  return { ...session, accessToken: { value: accessToken, ...expiry } }
}
