import type { EpochMs } from '../core/epoch-ms.ts'

/** Tells whether every replica has had time, since the last store outage, to reconnect and write what it holds. */
export interface Settling {
  readonly isSettled: boolean
  /** Count of the times at which some replica may have been cut off from the store. */
  readonly interruptions: number
  /**
   * Returns whether the store is settled for a session created then; one newer than the last disturbance is not
   * affected.
   */
  readonly isSettledFor: (createdAt: EpochMs) => boolean
}

/** Settling as its owner sees it, who reports outages to it. */
export interface WatchedSettling extends Settling {
  /** Records that the store went away or came back, so that its locks may be lost. */
  readonly disturb: () => void
  /** Records that this replica could not use the store, whose data are intact. */
  readonly interrupt: () => void
  /** Takes the server's uptime, where it is known; a long one shortens the wait of a new replica. */
  readonly observeUptime: (uptimeMs: number | undefined) => void
}

/** Time for every replica to reconnect, longer than three failed attempts in a row or one that times out. */
export const SETTLE_MS = 10_000

/** Settling of a store that no replica can be cut off from. */
export const SETTLED: Settling = { isSettled: true, interruptions: 0, isSettledFor: () => true }

/** Creates the watch; `now` is the wall clock, because it is compared with when sessions were created. */
export function watchSettling(now: () => EpochMs): WatchedSettling {
  let interruptions = 0
  let settlesAtMs = Number.POSITIVE_INFINITY
  let disturbedAt: EpochMs = now()

  const isSettled = () => performance.now() >= settlesAtMs
  return {
    get isSettled() {
      return isSettled()
    },
    get interruptions() {
      return interruptions
    },
    isSettledFor: (createdAt) => isSettled() || createdAt > disturbedAt,
    interrupt: () => void interruptions++,
    disturb() {
      interruptions++
      settlesAtMs = performance.now() + SETTLE_MS
      disturbedAt = now()
    },
    observeUptime(uptimeMs) {
      // Ignores the uptime after an outage seen here, because the network may have failed while the server kept
      // running.
      if (interruptions !== 1 || uptimeMs === undefined) return
      settlesAtMs = Math.min(settlesAtMs, performance.now() + SETTLE_MS - uptimeMs)
      disturbedAt = Math.min(disturbedAt, now() - uptimeMs)
    },
  }
}
