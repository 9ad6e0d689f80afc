import { DeadlineError } from './redis-failure.ts'

/** Keeps many from waiting for the same slow thing: while an answer about a key is overdue, nobody else asks. */
export interface Overdue {
  /** Asks, or throws a `DeadlineError` at once where somebody has waited for most of `timeoutMs`. */
  readonly unlessOverdue: <T>(key: string, timeoutMs: number, ask: () => Promise<T>) => Promise<T>
}

interface UnderWay {
  /** When it was asked for, or last answered. */
  sinceMs: number
  count: number
}

const MOST = 0.8

export function createOverdue(): Overdue {
  const underWay = new Map<string, UnderWay>()
  return {
    async unlessOverdue(key, timeoutMs, ask) {
      const asked = underWay.getOrInsertComputed(key, () => ({
        sinceMs: performance.now(),
        count: 0,
      }))
      if (asked.count > 0 && performance.now() - asked.sinceMs > timeoutMs * MOST) {
        throw new DeadlineError()
      }
      asked.count++
      try {
        return await ask()
      } finally {
        asked.count--
        asked.sinceMs = performance.now()
        if (asked.count === 0) underWay.delete(key)
      }
    },
  }
}
