import { setImmediate as nextRound } from 'node:timers/promises'
import { AuthError } from '../../errors.ts'
import type { Locks } from '../../store/locks.ts'
import { waitAtMost } from '../../timing/time-limit.ts'
import type { PresentedSession } from '../session-cache.ts'
import { createRefreshLocks } from './locks.ts'
import type { NextTry } from './outcome.ts'
import { createRefreshPauses } from './pauses.ts'
import { createRefreshOnce, type RefreshOnceOptions } from './refresh-once.ts'

/** Refreshes the provider's tokens of sessions, each once over all replicas. */
export interface SessionRefresher {
  /**
   * Tries now, unless somebody does so already or it failed a moment ago. Resolves when this replica is done with it;
   * never rejects. What came of it is in the store.
   */
  refresh(presented: PresentedSession): Promise<void>
  /** Whether the last try failed and the next has to wait. */
  isPaused(digest: string): boolean
  /**
   * Resolves when no refresh is in flight, or after `withinMs`; tokens that are not stored by then are lost with the
   * process.
   */
  finish(withinMs: number): Promise<void>
}

export interface SessionRefresherOptions extends Omit<RefreshOnceOptions, 'ending'> {
  readonly locks: Locks
  /** Whether what comes can be stored: a refresh token that is spent and not stored is lost (fault F36). */
  readonly canStore: () => boolean
  /** Something failed that is none of the failures there are. */
  readonly onFault: (cause: unknown) => void
}

/** Token requests at once from this replica (fault F27). */
const MAX_UNDER_WAY = 100
/** When another replica has the lock, it is not asked for again before this. */
const ELSEWHERE_MS = 1000

/** Once in this process, and under a lock over all replicas. */
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
      // Kept by one who failed, so that the others leave the provider alone, too.
      await lock.letGo(pausedMs)
    }
  }

  /** For how many milliseconds nobody else should try either. */
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
        return pauses.backOff(digest, next.retryAfterMs)
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
    isPaused: (digest) => pauses.hasFailed(digest),
    async finish(withinMs) {
      await waitAtMost(Promise.all(underWay.values()), withinMs)
      ending.abort()
      // Lets aborted refreshes log what they lost before the process ends.
      await nextRound()
    },
  }
}
