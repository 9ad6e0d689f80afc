import type { RedisObserver } from './open-redis.ts'

/** Whether every replica has had time to reach the store since it was last away, and to write what it has for it. */
export interface Settling {
  readonly isSettled: boolean
  /** Another number whenever some replica may have been kept from the store. */
  readonly epoch: number
  /** Whether it is settled for what has begun then: what is newer than the last disturbance has missed nothing. */
  readonly isSettledFor: (createdAtMs: number) => boolean
}

export interface WatchedSettling extends Settling {
  /** The store has gone, or is there again; what it knew of locks may be lost. */
  readonly disturb: () => void
  /** It could not be used, by this replica at least, and has lost nothing. */
  readonly interrupt: () => void
  /** For how long the server has run, where it says so. */
  readonly observeUptime: (uptimeMs: number | undefined) => void
}

/** Three connections that fail one after the other take less, and so does one that nobody answers. */
export const SETTLE_MS = 10_000

/** For a store that no replica can be kept from. */
export const SETTLED: Settling = { isSettled: true, epoch: 0, isSettledFor: () => true }

/** `now`: wall clock, for it is compared with what sessions say of themselves. */
export function watchSettling(now: () => number): WatchedSettling {
  let epoch = 0
  let settlesAtMs = Number.POSITIVE_INFINITY
  let disturbedAt = now()

  const isSettled = () => performance.now() >= settlesAtMs
  return {
    get isSettled() {
      return isSettled()
    },
    get epoch() {
      return epoch
    },
    isSettledFor: (createdAtMs) => isSettled() || createdAtMs > disturbedAt,
    interrupt: () => void epoch++,
    disturb() {
      epoch++
      settlesAtMs = performance.now() + SETTLE_MS
      disturbedAt = now()
    },
    observeUptime(uptimeMs) {
      // A replica that has seen the store go and come cannot take the word of a server for it: its wire may have been cut.
      if (epoch !== 1 || uptimeMs === undefined) return
      settlesAtMs = Math.min(settlesAtMs, performance.now() + SETTLE_MS - uptimeMs)
      disturbedAt = Math.min(disturbedAt, now() - uptimeMs)
    },
  }
}

type Disturbances = Pick<
  RedisObserver,
  'onConnected' | 'onDisconnected' | 'onFailure' | 'onBreaker' | 'onExamined'
>

/** The same observer; what it is told of counts as a disturbance or an interruption. */
export function observeDisturbances<T extends Disturbances>(
  observer: T,
  settling: WatchedSettling,
): T {
  return {
    ...observer,
    onConnected() {
      settling.disturb()
      observer.onConnected()
    },
    onDisconnected(failure, reason) {
      settling.disturb()
      observer.onDisconnected(failure, reason)
    },
    onFailure(failure) {
      // No replica can write until it has loaded, and what it loads may be old (finding C65).
      if (failure === 'loading') settling.disturb()
      observer.onFailure(failure)
    },
    onBreaker(name, state) {
      if (state !== 'half-open') settling.interrupt()
      observer.onBreaker(name, state)
    },
    onExamined(made) {
      if (made.isLoading) settling.disturb()
      else settling.observeUptime(made.uptimeMs)
      observer.onExamined(made)
    },
  } satisfies T
}
