import type { EndReason } from '../core/end-reason.ts'
import type { SessionCredential } from '../core/session.ts'
import { OutageError } from '../errors.ts'
import type { Generations, Moment } from '../store/generations.ts'
import type { Owner, Owners, SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Store } from '../store/store.ts'
import { createStoreEnder, type Order } from './end-in-store.ts'
import type { EndedOthers } from './end-others.ts'
import { type SessionCodec, sessionDigest } from './records.ts'
import { createRevocations, type Revocations } from './revocations.ts'
import type { SessionCache } from './session-cache.ts'

/** Result of an end; `'pending'`: this replica refuses the session now, and the others when the store is back. */
export type Ending = 'done' | 'pending'

/** Ends sessions of this installation; during an outage the `defer…` functions queue the end. */
export interface SessionEnder {
  readonly revocations: Revocations
  /** Ends one session on every replica; false where there was none. Rejects with the store's errors. */
  end(digest: string, reason: EndReason): Promise<boolean>
  /**
   * Ends an owner's sessions that had begun at `asked` and resolves with their number; a sign-in in flight from before
   * then fails. Rejects like `end`.
   */
  endAllOf(owner: Owner, options: EndAllOptions): Promise<number>
  /** Ends a user's sessions but `kept`, on behalf of the user; reports a failure beside the number that has ended. */
  endOthersOf(user: string, kept: string): Promise<EndedOthers>
  /** Ends everybody's sessions in the same way. */
  endAll(options: Omit<EndAllOptions, 'user'>): Promise<number>
  /** Returns the current moment, for an order that may be applied later. */
  moment(): Moment
  /** Defers the end of one session until the store is back; this replica refuses it from now on. */
  deferEnd(digest: string, reason: EndReason): void
  /** Defers the end of an owner's sessions, or of everybody's; this replica refuses them from now on. */
  deferAllOf(owner: Owner | undefined, order: Order): void
  /** Ends the session and all others of the same provider session, such as those of other protected hosts. */
  endTogether(credential: SessionCredential): Promise<Ending>
  /** Defers `endTogether` until the store is back; this replica refuses the session from now on. */
  deferEndTogether(credential: SessionCredential): Ending
  /** Defers like `deferEndTogether` a session that cannot be verified now; it ends only if this credential opens it. */
  deferUnverifiedEnd(credential: SessionCredential, realm: string, address: string): Ending
  /** Ends a session in favour of newer ones of the same user. Rejects like `end`. */
  endReplaced(digest: string, owners: Owners): Promise<void>
  /** Refuses a session that another replica has ended. */
  receiveEnded(digest: string, reason: EndReason): void
}

export interface EndAllOptions {
  readonly reason: EndReason
  /** Restricts the end to this user's sessions. */
  readonly user?: string
  /** Moment of the order; defaults to now. */
  readonly asked?: Moment
}

export interface SessionEnderOptions {
  readonly store: Store
  readonly index: SessionsByOwner
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly maxAgeMs: number
  /** Tells other replicas of an end while the store cannot. */
  readonly announceEnded: (digest: string, reason: EndReason) => void
  /** Called with each session that this replica refuses from now on. */
  readonly onEnded: (digest: string, reason: EndReason) => void
  /** Called when this replica refuses all sessions of an owner, or all, from now on. */
  readonly onAllDeferred: () => void
  readonly onFlushed: (count: number) => void
}

/** Creates an ender that evicts a session here, ends it in the store, and queues the end while the store is away. */
export function createSessionEnder(options: SessionEnderOptions): SessionEnder {
  const { store, generations, sessionCache, maxAgeMs } = options
  const ender = createStoreEnder({
    ...options,
    onEnding: (digest) => sessionCache.evict(digest),
    onEnded: refuseFromNow,
  })
  const revocations = createRevocations({
    maxAgeMs,
    applyToAllOf: (owner, order) => (owner ? ender.endAllOf(owner, order) : ender.endAll(order)),
    applyAgain: (digest, reason) => store.end(digest, maxAgeMs, reason),
    knownFrom: (asked) => generations.knownFrom(asked),
    isAhead: (generation) => generations.isAhead(generation),
    onFlushed: options.onFlushed,
  })

  function refuseFromNow(digest: string, reason: EndReason): void {
    revocations.note(digest, reason)
    sessionCache.evict(digest)
    options.onEnded(digest, reason)
  }

  function defer(digest: string, reason: EndReason, apply: () => Promise<unknown>): Ending {
    revocations.defer(digest, reason, apply)
    sessionCache.evict(digest)
    options.announceEnded(digest, reason)
    options.onEnded(digest, reason)
    return 'pending'
  }

  const deferTogether = (digest: string, asked: Moment) =>
    defer(digest, 'signed-out', () => ender.endTogether(digest, asked, 'late'))

  return {
    revocations,
    moment: () => generations.moment(),
    end: (digest, reason) => ender.end(digest, reason),
    endAllOf: (owner, { reason, user, asked = generations.moment() }) =>
      ender.endAllOf(owner, { asked, reason }, user),
    endOthersOf: (user, kept) =>
      ender.endOthersOf(user, kept, {
        asked: generations.moment(),
        reason: 'signed-out-elsewhere',
      }),
    endAll: ({ reason, asked = generations.moment() }) => ender.endAll({ asked, reason }),
    deferAllOf(owner, order) {
      revocations.deferAllOf(owner, order)
      options.onAllDeferred()
    },
    async endTogether(credential) {
      const asked = generations.moment()
      const digest = sessionDigest(credential)
      // Evicts before anything can fail, so that this replica refuses the session from now on.
      sessionCache.evict(digest)
      try {
        await ender.endTogether(digest, asked, 'at once')
        return 'done'
      } catch (error) {
        if (!(error instanceof OutageError)) throw error
        return deferTogether(digest, asked)
      }
    },
    deferEnd(digest, reason) {
      // Keeps a deferred `endTogether`, because it also ends the other sessions of the provider session.
      if (!revocations.isWaiting(digest)) defer(digest, reason, () => ender.end(digest, reason))
    },
    deferEndTogether: (credential) =>
      deferTogether(sessionDigest(credential), generations.moment()),
    deferUnverifiedEnd(credential, realm, address) {
      const asked = generations.moment()
      const digest = sessionDigest(credential)
      const apply = async () => {
        if (await ender.isSession(digest, credential, realm)) {
          await ender.endTogether(digest, asked, 'late')
        }
      }
      revocations.deferUnverified(digest, apply, address)
      sessionCache.evict(digest)
      options.onEnded(digest, 'signed-out')
      // Does not announce it, because replicas remember announced ends and anybody can make up a session.
      return 'pending'
    },
    endReplaced: (digest, owners) => ender.endReplaced(digest, owners),
    receiveEnded: refuseFromNow,
  }
}
