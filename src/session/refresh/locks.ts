import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { OutageError } from '../../errors.ts'
import { type Locks, noteOf } from '../../store/locks.ts'
import type { Settling } from '../../store/settling.ts'
import { createSingleFlight } from '../../timing/single-flight.ts'

/** Lock of one refresh across all replicas. */
export interface RefreshLock {
  /** True when the lock was taken from a silent replica that had already asked the provider. */
  readonly isTakenOver: boolean
  /**
   * Marks the lock before the provider is asked, because from then on the refresh token may be spent. Resolves with
   * false when the lock is no longer ours, or an outage intervened.
   */
  announce(): Promise<boolean>
  /** Extends the lease and resolves with whether the lock is still ours. */
  isStillOurs(): Promise<boolean>
  /** Releases the lock, or keeps it for `keptMs` as a back-off for all replicas; retries through store outages. */
  letGo(keptMs: number): Promise<void>
}

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
const LET_GO_AGAIN_MS = 500
const MAX_WATCHED = 100_000

const TAKEN = 'taken'
const ASKING = 'asking'
const RESTING = 'resting'

interface Watch {
  readonly mark: string
  readonly epoch: number
  readonly sinceMs: number
}

/**
 * Creates leases that only a replica takes over that has watched the mark stay unchanged. A store outage restarts the
 * watch, because the owner could not write either (finding C65).
 */
export function createRefreshLocks(options: RefreshLocksOptions): RefreshLocks {
  const { locks, settling } = options
  const watches = new LRUCache<string, Watch>({ max: MAX_WATCHED, ttl: ASKING_MS })

  function isSilent(digest: string, mark: string): boolean {
    const { epoch } = settling
    const known = watches.get(digest)
    const nowMs = performance.now()
    if (known?.mark !== mark || known.epoch !== epoch) {
      watches.set(digest, { mark, epoch, sinceMs: nowMs })
      return false
    }
    return noteOf(mark).startsWith(ASKING) && nowMs - known.sinceMs >= SILENT_MS
  }

  return {
    async take(digest) {
      const owner = randomBytes(16).toString('base64url')
      const { epoch } = settling
      const acquired = await locks
        .acquire(digest, owner, TAKEN, TAKEN_MS)
        .catch((error: unknown) => {
          // Restarts the watch, because the owner cannot write during this outage either and is not silent.
          watches.delete(digest)
          throw error
        })
      const isTakenOver = !acquired.isOurs && isSilent(digest, acquired.mark)
      if (!acquired.isOurs && !isTakenOver) return undefined
      // Restarts the watch before the takeover, so that a failed one does not count as observed silence.
      watches.delete(digest)
      if (!acquired.isOurs) {
        const { mark } = acquired
        if (!(await locks.takeOver(digest, owner, TAKEN, TAKEN_MS, mark))) return undefined
      }
      return createLock({ ...options, digest, owner, epoch, isTakenOver })
    },
  }
}

interface LockOptions extends RefreshLocksOptions {
  readonly digest: string
  readonly owner: string
  readonly epoch: number
  readonly isTakenOver: boolean
}

function createLock(options: LockOptions): RefreshLock {
  const { locks, settling, ending, digest, owner, isTakenOver } = options
  let { epoch } = options
  let beats = 0
  let beating: NodeJS.Timeout | undefined
  const beat = createSingleFlight(extend)

  /**
   * Renews the lease, and after an outage recreates a lock lost with the store's data, because the owner has the
   * tokens.
   */
  async function extend(): Promise<boolean> {
    const now = settling.epoch
    const note = `${ASKING} ${beats++}`
    const isOurs = await locks.hold(digest, owner, note, ASKING_MS, now !== epoch)
    if (isOurs) epoch = now
    return isOurs
  }

  function release(keptUntilMs: number): Promise<unknown> {
    const keptMs = keptUntilMs - performance.now()
    return keptMs > 0 ? locks.hold(digest, owner, RESTING, keptMs) : locks.release(digest, owner)
  }

  return {
    isTakenOver,
    async announce() {
      if (settling.epoch !== epoch || !(await beat.run())) return false
      if (settling.epoch !== options.epoch) return false
      beating = setInterval(() => void beat.run().catch(() => undefined), BEAT_MS)
      return true
    },
    isStillOurs: () => beat.run(),
    async letGo(keptMs) {
      clearInterval(beating)
      const sinceMs = performance.now()
      await beat.current?.catch(() => undefined)
      for (;;) {
        try {
          return void (await release(sinceMs + keptMs))
        } catch (error) {
          const isWorthIt = error instanceof OutageError && performance.now() - sinceMs < ASKING_MS
          if (!isWorthIt || ending.aborted) return
        }
        await pause(LET_GO_AGAIN_MS, undefined, { signal: ending }).catch(() => undefined)
      }
    },
  }
}
