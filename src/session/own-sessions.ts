import type { EndReason } from '../core/end-reason.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { Session } from '../core/session.ts'
import { OutageError } from '../errors.ts'
import type { SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Store } from '../store/store.ts'
import type { EndedOthers } from './end-others.ts'
import type { SessionEnder } from './end-session.ts'
import { createMetadataReader } from './found-metadata.ts'
import { inPortions } from './in-portions.ts'
import { namedOwnersOf } from './owners.ts'
import type { SessionCodec } from './records.ts'

/** Session as its user sees it. */
export interface OwnSession {
  readonly digest: string
  readonly createdAt: EpochMs
  /** Absolute end. */
  readonly endsAt: EpochMs
  /** Latest use; absent without an idle timeout, because a check writes nothing then. */
  readonly lastSeenAt?: EpochMs
  readonly address?: string
  readonly userAgent?: string
}

export interface OwnSessionList {
  /** The current session, then the others, latest first. */
  readonly sessions: readonly OwnSession[]
  /** Upper bound of the sessions that are not listed. */
  readonly more: number
}

/** Session by which its user asks about all of theirs. */
export interface CurrentSession {
  readonly digest: string
  readonly session: Session
}

/**
 * Sessions of one user, who lists and ends them by one of them. Rejects with the store's errors; an end that an outage
 * kept from a session of theirs is applied when the store is back.
 */
export interface OwnSessions {
  list(current: CurrentSession, limit: number): Promise<OwnSessionList>
  /** Ends one of the user's sessions; false where they have none of this digest. */
  end(current: CurrentSession, digest: string): Promise<boolean>
  /** Ends all others that had begun by now, on whichever replica. */
  endOthers(current: CurrentSession): Promise<EndedOthers>
}

export interface OwnSessionsOptions {
  readonly store: Store
  readonly index: SessionsByOwner
  readonly codec: SessionCodec
  readonly maxAgeMs: number
  /** Idle timeout; 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  readonly now: () => EpochMs
  readonly ender: Pick<SessionEnder, 'end' | 'endOthersOf' | 'deferEnd'>
}

/** Bounds the entries of the index that one list looks up, because some may have no session any more. */
const MAX_READ = 1000
const REASON: EndReason = 'signed-out-elsewhere'

export function createOwnSessions(options: OwnSessionsOptions): OwnSessions {
  const { store, index, maxAgeMs, idleTimeoutMs, now, ender } = options
  const readMetadata = createMetadataReader(options)

  /** Resolves with `undefined` for a session of somebody else, because the index does not decide whose it is. */
  async function readOne(digest: string, user: string): Promise<OwnSession | undefined> {
    const found = await readMetadata(digest)
    if (found.kind !== 'known' || found.metadata.owners.user !== user) return undefined
    const { createdAt, address, userAgent } = found.metadata
    return {
      digest,
      createdAt,
      endsAt: createdAt + maxAgeMs,
      ...(address !== undefined && { address }),
      ...(userAgent !== undefined && { userAgent }),
    }
  }

  /** Reads the first `limit` sessions behind these digests, and tells how many digests it did not look up. */
  async function readSome(digests: readonly string[], user: string, limit: number) {
    const found: OwnSession[] = []
    const end = Math.min(digests.length, MAX_READ)
    let at = 0
    while (at < end && found.length < limit) {
      const portion = digests.slice(at, Math.min(end, at + limit - found.length))
      at += portion.length
      const read = await inPortions(portion, (digest) => readOne(digest, user))
      found.push(...read.flatMap((each) => each ?? []))
    }
    return { found, more: digests.length - at }
  }

  /**
   * Adds the latest use, which for the current session is this request, and leaves out sessions that have ended
   * meanwhile. A use shortly before the absolute end cannot extend a session, so that it may be told too early.
   */
  async function withLastUse(
    sessions: readonly OwnSession[],
    current: string,
  ): Promise<readonly OwnSession[]> {
    if (!idleTimeoutMs) return sessions
    const longestMs = Math.min(idleTimeoutMs, maxAgeMs)
    const lives = await store.readLives(sessions.map(({ digest }) => digest))
    return sessions.flatMap((session, at) => {
      const life = lives[at]
      if (life?.kind !== 'alive') return []
      // Bounds it, because the store's clock is another one.
      const unusedMs = session.digest === current ? 0 : Math.max(0, longestMs - life.leftMs)
      return [{ ...session, lastSeenAt: now() - unusedMs }]
    })
  }

  /** Adds a session that the index has lost, so that the user's other sessions can list and end it. */
  async function repairIndex(digest: string, session: Session): Promise<void> {
    await index
      .add(digest, namedOwnersOf(session), session.expiresAt - now())
      // Ignores a failure, because the list needs no entry of the current session.
      .catch(() => undefined)
  }

  return {
    async list({ digest: current, session }, limit) {
      const { user } = namedOwnersOf(session)
      const listed = await index.list('user', user)
      if (!listed.includes(current)) await repairIndex(current, session)
      const others = listed.filter((digest) => digest !== current)
      const { found, more } = await readSome(others.toReversed(), user, limit - 1)
      const { createdAt, expiresAt: endsAt } = session
      const own = { ...(await readOne(current, user)), digest: current, createdAt, endsAt }
      const latestFirst = found.toSorted((a, b) => b.createdAt - a.createdAt)
      return { sessions: await withLastUse([own, ...latestFirst], current), more }
    },

    async end({ session }, digest) {
      const found = await readOne(digest, namedOwnersOf(session).user)
      if (!found) return false
      return ender.end(digest, REASON).catch((cause: unknown) => {
        if (cause instanceof OutageError) ender.deferEnd(digest, REASON)
        throw cause
      })
    },

    async endOthers({ digest, session }) {
      const ended = await ender.endOthersOf(namedOwnersOf(session).user, digest, REASON)
      for (const each of ended.waiting) ender.deferEnd(each, REASON)
      return ended
    },
  }
}
