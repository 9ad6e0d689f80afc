import type { SessionCredential } from '../core/session.ts'
import { OutageError } from '../errors.ts'
import type { Generations, Moment } from '../store/generations.ts'
import type { Owner, Owners, SessionIndex } from '../store/session-index.ts'
import type { Store } from '../store/store.ts'
import { createStoreEnder } from './end-in-store.ts'
import { type SessionCodec, sessionDigest } from './records.ts'
import { createRevocations, type Revocations } from './revocations.ts'
import type { SessionCache } from './session-cache.ts'

/** `'pending'`: this replica refuses the session from now on, and the others as soon as the store can be told. */
export type Ending = 'done' | 'pending'

export interface SessionEnder {
  readonly revocations: Revocations
  /** Ends the session whose digest it is, on every replica; false where there was none. Throws while the store cannot be told. */
  end(digest: string): Promise<boolean>
  /**
   * Ends an owner's sessions that had begun at `asked` and resolves with their number; a sign-in of theirs that had
   * begun loses. Throws like `end`.
   */
  endAllOf(owner: Owner, options?: EndAllOptions): Promise<number>
  /** Ends all sessions of everybody, likewise. */
  endAll(asked?: Moment): Promise<number>
  /** Returns the current moment, for an order that may be carried out later. */
  moment(): Moment
  /** Defers the end of one session until the store is back; this replica refuses it from now on. */
  deferEnd(digest: string): void
  /** Ends it together with all others that came of the same session at the provider, as on other protected hosts. */
  endTogether(credential: SessionCredential): Promise<Ending>
  /** The same, while the store is known to be away: it is told when it is back. */
  deferEndTogether(credential: SessionCredential): Ending
  /** The same where nobody can say whether there is such a session: what is none when the store is back is forgotten. */
  deferUnverifiedEnd(credential: SessionCredential, realm: string, address: string): Ending
  /** Ends a session in favour of newer ones of the same user; throws like `end`. */
  endReplaced(digest: string, owners: Owners): Promise<void>
  /** Another replica has ended it. */
  receiveEnded(digest: string): void
}

export interface EndAllOptions {
  /** Restricts the end to this user's sessions. */
  readonly user?: string
  /** Moment of the order; defaults to now. */
  readonly asked?: Moment
}

export interface SessionEnderOptions {
  readonly store: Store
  readonly index: SessionIndex
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly maxAgeMs: number
  /** Tells other replicas what the store cannot tell them yet. */
  readonly announceEnded: (digest: string) => void
  readonly onFlushed: (count: number) => void
}

export function createSessionEnder(options: SessionEnderOptions): SessionEnder {
  const { store, generations, sessionCache, maxAgeMs } = options
  const ender = createStoreEnder({
    ...options,
    onEnding: (digest) => sessionCache.evict(digest),
    onEnded: forget,
  })
  const revocations = createRevocations({
    maxAgeMs,
    applyToAllOf: (owner, asked) => (owner ? ender.endAllOf(owner, asked) : ender.endAll(asked)),
    applyAgain: (digest) => store.end(digest, maxAgeMs),
    knownFrom: (asked) => generations.knownFrom(asked),
    isAhead: (generation) => generations.isAhead(generation),
    onFlushed: options.onFlushed,
  })

  function forget(digest: string): void {
    revocations.note(digest)
    sessionCache.evict(digest)
  }

  function defer(digest: string, apply: () => Promise<unknown>): Ending {
    revocations.defer(digest, apply)
    sessionCache.evict(digest)
    options.announceEnded(digest)
    return 'pending'
  }

  const deferEndTogether = (digest: string, asked: Moment) =>
    defer(digest, () => ender.endTogether(digest, asked, 'late'))

  return {
    revocations,
    moment: () => generations.moment(),
    end: (digest) => ender.end(digest),
    endAllOf: (owner, { user, asked = generations.moment() } = {}) =>
      ender.endAllOf(owner, asked, user),
    endAll: (asked = generations.moment()) => ender.endAll(asked),
    async endTogether(credential) {
      const asked = generations.moment()
      const digest = sessionDigest(credential)
      // Before anything can fail: from now on this replica lets nobody in with it.
      sessionCache.evict(digest)
      try {
        await ender.endTogether(digest, asked, 'at once')
        return 'done'
      } catch (error) {
        if (!(error instanceof OutageError)) throw error
        return deferEndTogether(digest, asked)
      }
    },
    deferEnd(digest) {
      // Keeps a deferred sign-out, because that also ends the other sessions of the provider session.
      if (!revocations.isWaiting(digest)) defer(digest, () => ender.end(digest))
    },
    deferEndTogether: (credential) =>
      deferEndTogether(sessionDigest(credential), generations.moment()),
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
      // Other replicas would keep it among what is known to have ended, and strangers can make it up.
      return 'pending'
    },
    endReplaced: (digest, owners) => ender.endReplaced(digest, owners),
    receiveEnded: forget,
  }
}
