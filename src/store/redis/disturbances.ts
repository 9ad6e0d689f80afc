import type { WatchedSettling } from '../settling.ts'
import type { RedisObserver } from './observer.ts'

type Disturbances = Pick<
  RedisObserver,
  'onConnected' | 'onDisconnected' | 'onFailure' | 'onBreaker' | 'onExamined'
>

/** Wraps an observer and reports what it is told as a disturbance or an interruption. */
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
    onDisconnected(report) {
      settling.disturb()
      observer.onDisconnected(report)
    },
    onFailure(failure) {
      // Counts loading as a disturbance, because no replica can write meanwhile and the data may be old (finding C65).
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
