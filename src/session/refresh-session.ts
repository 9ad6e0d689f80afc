import { randomBytes } from 'node:crypto'
import { AuthError } from '../errors.ts'
import type { Locks } from '../store/locks.ts'
import type { HeldSession } from './opened-sessions.ts'
import { createRefreshOnce, type NextTry, type RefreshOnceOptions } from './refresh-once.ts'
import { createRefreshPauses } from './refresh-pauses.ts'

/** Refreshes the provider's tokens of sessions, each once over all replicas. */
export interface SessionRefresher {
  /**
   * Tries now, unless somebody does so already or it failed a moment ago. Resolves when this replica is done with it;
   * never rejects. What came of it is in the store.
   */
  refresh(held: HeldSession): Promise<void>
  /** Whether the last try failed and the next has to wait. */
  isPaused(digest: string): boolean
  /** Resolves when nothing is under way: a token that has come and is not stored would be lost with the process. */
  finish(): Promise<void>
}

export interface SessionRefresherOptions extends RefreshOnceOptions {
  readonly locks: Locks
  /** Whether what comes can be stored: a refresh token that is spent and not stored is lost (fault F36). */
  readonly canStore: () => boolean
  /** Something failed that is none of the failures there are. */
  readonly onFault: (cause: unknown) => void
}

/** A lock whose owner has died ends after this; while its owner lives it is extended. */
const LOCK_MS = 10_000
const EXTEND_EVERY_MS = 3000
/** Token requests at once from this replica (fault F27). */
const MAX_UNDER_WAY = 100
/** When another replica has the lock, it is not asked for again before this. */
const ELSEWHERE_MS = 1000

/** Once in this process, and under a lock over all replicas. */
export function createSessionRefresher(options: SessionRefresherOptions): SessionRefresher {
  const { locks, canStore, onFault } = options
  const refreshOnce = createRefreshOnce(options)
  const underWay = new Map<string, Promise<void>>()
  const pauses = createRefreshPauses()

  async function attempt(held: HeldSession): Promise<void> {
    const { digest } = held
    if (!canStore()) return pauses.wait(digest, ELSEWHERE_MS)
    const owner = randomBytes(16).toString('base64url')
    if (!(await locks.acquire(digest, owner, LOCK_MS))) return pauses.wait(digest, ELSEWHERE_MS)
    const extend = () => locks.extend(digest, owner, LOCK_MS)
    const extending = setInterval(() => void extend().catch(() => undefined), EXTEND_EVERY_MS)
    let keptMs = 0
    try {
      keptMs = pauseFor(digest, await refreshOnce(held, extend))
    } finally {
      clearInterval(extending)
      // Kept by one who failed, so that the others leave the provider alone, too.
      const letGo = keptMs > 0 ? locks.extend(digest, owner, keptMs) : locks.release(digest, owner)
      await letGo.catch(() => undefined)
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
    refresh(held) {
      const { digest } = held
      const running = underWay.get(digest)
      if (running) return running
      if (pauses.isWaiting(digest) || underWay.size >= MAX_UNDER_WAY) return Promise.resolve()
      const run = attempt(held)
        .catch((cause: unknown) => {
          pauses.wait(digest, ELSEWHERE_MS)
          if (!(cause instanceof AuthError)) onFault(cause)
        })
        .finally(() => underWay.delete(digest))
      underWay.set(digest, run)
      return run
    },
    isPaused: (digest) => pauses.hasFailed(digest),
    async finish() {
      await Promise.all(underWay.values())
    },
  }
}
