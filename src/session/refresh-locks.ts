import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { type Locks, noteOf } from '../store/locks.ts'
import type { Settling } from '../store/settling.ts'
import { OutageError } from '../store/store.ts'

/** One renewal's lock over all replicas. */
export interface RefreshLock {
  /** Taken from a replica that had asked the provider, and was not heard of any more. */
  readonly isTakenOver: boolean
  /**
   * Tells the others that the provider is about to be asked: from then on the refresh token may be spent, and only the
   * owner knows. False where the lock is not ours any more, or an outage came between.
   */
  announce(): Promise<boolean>
  isStillOurs(): Promise<boolean>
  /** Lets go of it, or keeps everybody from it for some more milliseconds; tries until the store has been told. */
  letGo(keptMs: number): Promise<void>
}

export interface RefreshLocks {
  take(digest: string): Promise<RefreshLock | undefined>
}

export interface RefreshLocksOptions {
  readonly locks: Locks
  readonly settling: Settling
  /** The process is about to end. */
  readonly ending: AbortSignal
}

/** Long enough to read what is to be renewed; an owner who dies before the provider is asked has spent nothing. */
const TAKEN_MS = 10_000
/** An owner who has asked outlives outages: the lock must be there when the store is back. */
const ASKING_MS = 60 * 60 * 1000
const BEAT_MS = 1000
/** An owner who has asked and is not heard of for so long has died; one who is cut off for longer loses the tokens. */
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
 * Locks whose owners are judged by what is seen of them, as leases are elsewhere: who would take one over has watched it
 * unchanged, and a store that was away meanwhile starts the watch anew (finding C65).
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
          // What cannot be written here cannot be written by the owner either, who is not silent then.
          watches.delete(digest)
          throw error
        })
      const isTakenOver = !acquired.isOurs && isSilent(digest, acquired.mark)
      if (!acquired.isOurs && !isTakenOver) return undefined
      // A try that fails leaves nothing of what was watched before it.
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
  let underWay: Promise<boolean> | undefined

  /** After an outage the lock may have been lost with the data of the store; who has the tokens has it all the same. */
  async function beat(): Promise<boolean> {
    const now = settling.epoch
    const note = `${ASKING} ${beats++}`
    const isOurs = await locks.hold(digest, owner, note, ASKING_MS, now !== epoch)
    if (isOurs) epoch = now
    return isOurs
  }

  function beatOnce(): Promise<boolean> {
    underWay ??= beat().finally(() => {
      underWay = undefined
    })
    return underWay
  }

  function give(keptUntilMs: number): Promise<unknown> {
    const keptMs = keptUntilMs - performance.now()
    return keptMs > 0 ? locks.hold(digest, owner, RESTING, keptMs) : locks.release(digest, owner)
  }

  return {
    isTakenOver,
    async announce() {
      if (settling.epoch !== epoch || !(await beatOnce())) return false
      if (settling.epoch !== options.epoch) return false
      beating = setInterval(() => void beatOnce().catch(() => undefined), BEAT_MS)
      return true
    },
    isStillOurs: beatOnce,
    async letGo(keptMs) {
      clearInterval(beating)
      const sinceMs = performance.now()
      await underWay?.catch(() => undefined)
      for (;;) {
        try {
          return void (await give(sinceMs + keptMs))
        } catch (error) {
          const isWorthIt = error instanceof OutageError && performance.now() - sinceMs < ASKING_MS
          if (!isWorthIt || ending.aborted) return
        }
        await pause(LET_GO_AGAIN_MS, undefined, { signal: ending }).catch(() => undefined)
      }
    },
  }
}
