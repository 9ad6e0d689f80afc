import type { EpochMs, Session, SessionCredential } from '../core/session.ts'
import { isAlive } from '../core/session.ts'
import { OutageError } from '../errors.ts'
import type { RecordPart, SealedRecords, Store } from '../store/store.ts'
import type { OutageAssertions } from './outage-assertion.ts'
import { type SessionCodec, sessionDigest, type Tokens } from './records.ts'
import type { Revocations } from './revocations.ts'
import type { CachedSession, FillTicket, PresentedSession, SessionCache } from './session-cache.ts'

/** A session that was found, and what that rests on. */
export interface FoundSession extends CachedSession {
  readonly source: SessionSource
}

/** `l1` and `assertion` stand in for a store that cannot be asked. */
export type SessionSource = 'memory' | 'store' | 'l1' | 'assertion'

export interface FindOptions {
  /** For callers that cannot wait as long as the store would. */
  readonly timeoutMs?: number
  /** What may stand in while the store cannot be asked; absent = nothing may. */
  readonly standIn?: StandIn
}

export interface StandIn {
  /** The outage assertion that came with the session's cookie. */
  readonly assertion: () => string | undefined
}

export interface SessionFinder {
  recall(credential: SessionCredential, realm: string): FoundSession | undefined
  find(
    credential: SessionCredential,
    realm: string,
    options?: FindOptions,
  ): Promise<FoundSession | undefined>
  /** Remembers a session that has just been written, as if it had been read. */
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
  /** Whether checks hand out access tokens; they are then read together with the identity. */
  readonly withAccessToken: boolean
  /** Whether those who miss the same session share one read, as they may where L1 answers without asking. */
  readonly canShareReads: boolean
  readonly now: () => EpochMs
  /** Called for each session that was found in the store or in memory. */
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
  const underWay = new Map<string, Read>()

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
    // Who has more time than a check would keep the checks waiting that join.
    if (!options.canShareReads || timeoutMs === undefined) {
      return { ticket, records: store.read(digest, parts, timeoutMs) }
    }
    const other = underWay.get(digest)
    // What was asked before something was evicted may be what has just been evicted.
    if (other?.ticket.evictions === ticket.evictions) return other
    const own = { ticket, records: store.read(digest, parts, timeoutMs) }
    underWay.set(digest, own)
    const forget = () => {
      if (underWay.get(digest) === own) underWay.delete(digest)
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
    const { ticket, records: pending } = read(digest, timeoutMs)
    const records = await pending
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
      // What has ended is not in memory any more, unless it ended as one of many of which the store has yet to be told.
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
        // A miss, or an answer that makes no sense, is not an outage (invariant I3).
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
