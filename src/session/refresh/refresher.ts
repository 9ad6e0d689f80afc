import { setImmediate as nextRound } from 'node:timers/promises'
import { AuthError } from '../../errors.ts'
import type { Locks } from '../../store/locks.ts'
import { waitAtMost } from '../../timing/time-limit.ts'
import type { PresentedSession } from '../session-cache.ts'
import { createRefreshLocks } from './locks.ts'
import type { NextTry } from './outcome.ts'
import { createRefreshPauses } from './pauses.ts'
import { createRefreshOnce, type RefreshOnceOptions } from './refresh-once.ts'
import type { Cause } from './result.ts'

/** Refreshes the provider's tokens of sessions, each once across all replicas. */
export interface SessionRefresher {
  /**
   * Attempts a refresh, or joins the one in flight; does nothing during a pause. Resolves when this replica is done and
   * never rejects; the outcome is in the store.
   */
  refresh(presented: PresentedSession): Promise<void>
  /** Returns why the last attempt failed while the session is in the back-off of it. */
  failureOf(digest: string): Cause | undefined
  /** Returns why the last attempt of this replica failed, if it did. */
  lastFailureOf(digest: string): Cause | undefined
  /**
   * Resolves when no refresh is in flight, or after `withinMs`; tokens that are not stored by then are lost with the
   * process, which is reported as `lost`.
   */
  finish(withinMs: number): Promise<void>
}

export interface SessionRefresherOptions extends Omit<RefreshOnceOptions, 'ending'> {
  readonly locks: Locks
  /** Returns whether new tokens could be stored, because a spent refresh token without a successor is lost (F36). */
  readonly canStore: () => boolean
  /** Called with an error that is no `AuthError`, which means a fault of Vestibule. */
  readonly onFault: (cause: unknown) => void
}

/** Bounds token requests in flight from this replica (fault F27). */
const MAX_UNDER_WAY = 100
/** Pause before the next attempt where the lock is taken or the store cannot be used. */
const ELSEWHERE_MS = 1000

/** Combines a single flight in this process with a lock across all replicas. */
export function createSessionRefresher(options: SessionRefresherOptions): SessionRefresher {
  const { store, codec, settling, canStore, onFault } = options
  const ending = new AbortController()
  const refreshLocks = createRefreshLocks({ ...options, ending: ending.signal })
  const refreshOnce = createRefreshOnce({ ...options, ending: ending.signal })
  const underWay = new Map<string, Promise<void>>()
  const pauses = createRefreshPauses()

  /**
   * Resolves with false after an outage, while other replicas store the tokens they hold (finding C65), except for
   * sessions newer than the outage.
   */
  async function mayBegin({ digest, credential, realm }: PresentedSession): Promise<boolean> {
    if (!canStore()) return false
    if (settling.isSettled) return true
    const { identity } = await store.read(digest, ['identity'])
    const session = codec.open(digest, 'identity', identity, { secret: credential.secret, realm })
    return session !== undefined && settling.isSettledFor(session.createdAt)
  }

  async function attempt(presented: PresentedSession): Promise<void> {
    const { digest } = presented
    const lock = (await mayBegin(presented)) ? await refreshLocks.take(digest) : undefined
    if (!lock) return pauses.wait(digest, ELSEWHERE_MS)
    let pausedMs = 0
    try {
      pausedMs = pauseFor(digest, await refreshOnce(presented, lock))
    } finally {
      // Keeps the lock during the back-off, so that the other replicas observe it too.
      await lock.release(pausedMs)
    }
  }

  /** Starts the pause and returns the milliseconds for which the other replicas must wait too. */
  function pauseFor(digest: string, next: NextTry): number {
    switch (next.kind) {
      case 'now':
        pauses.forget(digest)
        return 0
      case 'soon':
        pauses.forget(digest)
        pauses.wait(digest, ELSEWHERE_MS)
        return 0
      case 'after-failure':
        return pauses.backOff(digest, next)
    }
  }

  return {
    refresh(presented) {
      const { digest } = presented
      const running = underWay.get(digest)
      if (running) return running
      if (pauses.isWaiting(digest) || underWay.size >= MAX_UNDER_WAY) return Promise.resolve()
      const run = attempt(presented)
        .catch((cause: unknown) => {
          pauses.wait(digest, ELSEWHERE_MS)
          if (!(cause instanceof AuthError)) onFault(cause)
        })
        .finally(() => underWay.delete(digest))
      underWay.set(digest, run)
      return run
    },
    failureOf: (digest) => pauses.failureOf(digest),
    lastFailureOf: (digest) => pauses.lastFailureOf(digest),
    async finish(withinMs) {
      await waitAtMost(Promise.all(underWay.values()), withinMs)
      ending.abort()
      // Lets aborted refreshes report `lost` before the process ends.
      await nextRound()
    },
  }
}
