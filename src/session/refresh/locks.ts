import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { OutageError } from '../../errors.ts'
import { type Locks, noteOf } from '../../store/locks.ts'
import type { Settling } from '../../store/settling.ts'
import { createSingleFlight } from '../../timing/single-flight.ts'
import { atMostEntries } from '../at-most-entries.ts'

/** Lock of one refresh across all replicas. */
export interface RefreshLock {
  /** True when the lock was taken from a silent replica that had already asked the provider. */
  readonly isTakenOver: boolean
  /**
   * Marks the lock before the provider is asked, because from then on the refresh token may be spent. Resolves with
   * false when the lock is no longer ours, or an outage intervened.
   */
  markAsking(): Promise<boolean>
  /** Extends the lease and resolves with whether the lock is still ours. */
  isStillOurs(): Promise<boolean>
  /** Releases the lock, or keeps it for `keptMs` as a back-off for all replicas; retries through store outages. */
  release(keptMs: number): Promise<void>
}

/** Locks of refreshes by session; each spans all replicas. */
export interface RefreshLocks {
  /** Takes the lock; `undefined` where another replica has it. Rejects with the store's errors. */
  take(digest: string): Promise<RefreshLock | undefined>
}

export interface RefreshLocksOptions {
  readonly locks: Locks
  readonly settling: Settling
  /** Aborted when the process is about to end. */
  readonly ending: AbortSignal
}

/** Lease for reading the records; an owner that dies before it asks the provider has not spent the refresh token. */
const TAKEN_MS = 10_000
/** Lease once the provider has been asked, long enough that the lock survives a store outage. */
const ASKING_MS = 60 * 60 * 1000
/** Heartbeat interval of an owner that has asked the provider. */
const BEAT_MS = 1000
/** Silence after which an owner that has asked counts as dead; one that is cut off for longer loses the tokens. */
export const SILENT_MS = 60_000
const RELEASE_RETRY_MS = 500
const MAX_WATCHED = 100_000

const TAKEN = 'taken'
const ASKING = 'asking'
const RESTING = 'resting'

interface Watch {
  /** Value of the watched lock. */
  readonly value: string
  readonly interruptions: number
  readonly sinceMs: number
}

/**
 * Creates locks that another replica takes over only after it has seen the value unchanged for `SILENT_MS`. A store
 * outage starts that time anew, because the owner could not write either (finding C65).
 */
export function createRefreshLocks(options: RefreshLocksOptions): RefreshLocks {
  const { locks, settling } = options
  const watches = new LRUCache<string, Watch>({
    ...atMostEntries(MAX_WATCHED),
    ttl: ASKING_MS,
  })

  function isSilent(digest: string, value: string): boolean {
    const { interruptions } = settling
    const known = watches.get(digest)
    const nowMs = performance.now()
    if (known?.value !== value || known.interruptions !== interruptions) {
      watches.set(digest, { value, interruptions, sinceMs: nowMs })
      return false
    }
    return noteOf(value).startsWith(ASKING) && nowMs - known.sinceMs >= SILENT_MS
  }

  return {
    async take(digest) {
      const owner = randomBytes(16).toString('base64url')
      const { interruptions } = settling
      const lease = { owner, note: TAKEN, ttlMs: TAKEN_MS }
      const acquired = await locks.acquire(digest, lease).catch((error: unknown) => {
        // Restarts the watch, because the owner cannot write during this outage either and is not silent.
        watches.delete(digest)
        throw error
      })
      const isTakenOver = !acquired.isOurs && isSilent(digest, acquired.value)
      if (!acquired.isOurs && !isTakenOver) return undefined
      // Restarts the watch before the takeover, so that a failed one does not count as observed silence.
      watches.delete(digest)
      if (!acquired.isOurs && !(await locks.takeOver(digest, lease, acquired.value))) {
        return undefined
      }
      return createLock({ ...options, digest, owner, interruptions, isTakenOver })
    },
  }
}

interface LockOptions extends RefreshLocksOptions {
  readonly digest: string
  readonly owner: string
  readonly interruptions: number
  readonly isTakenOver: boolean
}

function createLock(options: LockOptions): RefreshLock {
  const { locks, settling, ending, digest, owner, isTakenOver } = options
  let { interruptions } = options
  let beats = 0
  let beating: NodeJS.Timeout | undefined
  const beat = createSingleFlight(extend)

  /**
   * Renews the lease, and after an outage recreates a lock lost with the store's data, because the owner has the
   * tokens.
   */
  async function extend(): Promise<boolean> {
    const now = settling.interruptions
    const lease = { owner, note: `${ASKING} ${beats++}`, ttlMs: ASKING_MS }
    const isOurs = await locks.hold(digest, lease, now !== interruptions)
    if (isOurs) interruptions = now
    return isOurs
  }

  function releaseOrKeep(keptUntilMs: number): Promise<unknown> {
    const ttlMs = keptUntilMs - performance.now()
    return ttlMs > 0
      ? locks.hold(digest, { owner, note: RESTING, ttlMs })
      : locks.release(digest, owner)
  }

  return {
    isTakenOver,
    async markAsking() {
      if (settling.interruptions !== interruptions || !(await beat.run())) return false
      if (settling.interruptions !== options.interruptions) return false
      beating = setInterval(() => void beat.run().catch(() => undefined), BEAT_MS)
      return true
    },
    isStillOurs: () => beat.run(),
    async release(keptMs) {
      clearInterval(beating)
      const sinceMs = performance.now()
      await beat.current?.catch(() => undefined)
      for (;;) {
        try {
          return void (await releaseOrKeep(sinceMs + keptMs))
        } catch (error) {
          const isWorthIt = error instanceof OutageError && performance.now() - sinceMs < ASKING_MS
          if (!isWorthIt || ending.aborted) return
        }
        await pause(RELEASE_RETRY_MS, undefined, { signal: ending }).catch(() => undefined)
      }
    },
  }
}
