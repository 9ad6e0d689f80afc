/** Tells whether what is published arrives here, by heartbeats that this replica sends to itself through Redis. */
export interface Heartbeat {
  /** Number of the present subscription, which changes whenever the connection of the subscriber is lost. */
  readonly subscription: number
  readonly isSubscribed: boolean
  /** Whether a heartbeat of this subscription that was sent within `BROKEN_AFTER_MS` has come back. */
  readonly isHealthy: boolean
  /** Whether the subscription has received no heartbeat for `SILENT_AFTER_MS`. */
  readonly isSilent: boolean
  onSubscribed(): void
  onDisconnected(): void
  /** Returns the text of the next heartbeat. */
  next(): string
  receive(text: string): void
}

/** Time without a returned heartbeat after which messages may be missed. */
export const BROKEN_AFTER_MS = 3000
/** Longer than `BROKEN_AFTER_MS`, because a heartbeat may be on its way. */
const SILENT_AFTER_MS = 2 * BROKEN_AFTER_MS

/** Creates a heartbeat that counts as healthy once one of its own texts has come back. */
export function createHeartbeat(): Heartbeat {
  let subscription = 0
  let isSubscribed = false
  let subscribedAtMs = Number.NEGATIVE_INFINITY
  /** Time at which the latest heartbeat that came back was sent. */
  let returnedAtMs = Number.NEGATIVE_INFINITY
  return {
    get subscription() {
      return subscription
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
      subscription++
      isSubscribed = false
      // Forgets the heartbeats of the last connection, because they say nothing about the next.
      returnedAtMs = Number.NEGATIVE_INFINITY
    },
    next: () => `${subscription} ${performance.now()}`,
    receive(text) {
      const [ofSubscription, sentAtMs] = text.split(' ').map(Number)
      if (ofSubscription !== subscription || sentAtMs === undefined) return
      returnedAtMs = Math.max(returnedAtMs, sentAtMs)
    },
  }
}
