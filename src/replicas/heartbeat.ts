/** Tells whether what is published arrives here, by heartbeats that this replica sends to itself through Redis. */
export interface Heartbeat {
  /** Number of the present subscription, which changes whenever the connection of the subscriber is lost. */
  readonly epoch: number
  readonly isSubscribed: boolean
  /** Whether a heartbeat of this epoch that was sent within `BROKEN_AFTER_MS` has come back. */
  readonly isHealthy: boolean
  /** Whether the subscription has received no heartbeat for `SILENT_AFTER_MS`. */
  readonly isSilent: boolean
  onSubscribed(): void
  onDisconnected(): void
  /** Returns the text of the next heartbeat. */
  next(): string
  receive(text: string): void
}

export const BROKEN_AFTER_MS = 3000
/** Longer than `BROKEN_AFTER_MS`, because a heartbeat may be on its way. */
const SILENT_AFTER_MS = 2 * BROKEN_AFTER_MS

export function createHeartbeat(): Heartbeat {
  let epoch = 0
  let isSubscribed = false
  let subscribedAtMs = Number.NEGATIVE_INFINITY
  /** Time at which the latest heartbeat that came back was sent. */
  let returnedAtMs = Number.NEGATIVE_INFINITY
  return {
    get epoch() {
      return epoch
    },
    get isSubscribed() {
      return isSubscribed
    },
    get isHealthy() {
      return isSubscribed && performance.now() - returnedAtMs < BROKEN_AFTER_MS
    },
    get isSilent() {
      const sinceMs = Math.max(returnedAtMs, subscribedAtMs)
      return isSubscribed && performance.now() - sinceMs > SILENT_AFTER_MS
    },
    onSubscribed() {
      isSubscribed = true
      subscribedAtMs = performance.now()
    },
    onDisconnected() {
      epoch++
      isSubscribed = false
      // Forgets the heartbeats of the last connection, because they say nothing about the next.
      returnedAtMs = Number.NEGATIVE_INFINITY
    },
    next: () => `${epoch} ${performance.now()}`,
    receive(text) {
      const [ofEpoch, sentAtMs] = text.split(' ').map(Number)
      if (ofEpoch !== epoch || sentAtMs === undefined) return
      returnedAtMs = Math.max(returnedAtMs, sentAtMs)
    },
  }
}
