/** Commands of one connection that wait for their answer. */
export interface Unanswered {
  /** Runs `call`; rejects with the cause of the connection's end where that comes before the answer. */
  run<T>(call: () => Promise<T>): Promise<T>
  /** Whether the oldest of them has waited for longer than this. */
  isOlderThan(ms: number): boolean
}

interface Waiting {
  readonly sinceMs: number
  readonly reject: (cause: unknown) => void
}

/**
 * Settles whatever waits when `signal` ends the connection, because node-redis 6.3.1 never settles a SUBSCRIBE or
 * UNSUBSCRIBE that comes after the end of its client (finding C74).
 */
export function createUnanswered(signal: AbortSignal): Unanswered {
  const waiting = new Set<Waiting>()
  const settleAll = () => {
    for (const { reject } of waiting) reject(signal.reason)
    waiting.clear()
  }
  signal.addEventListener('abort', settleAll, { once: true })

  return {
    run<T>(call: () => Promise<T>) {
      if (signal.aborted) return Promise.reject(signal.reason)
      // A listener of its own for each would stay with the connection long after the answer.
      return new Promise<T>((resolve, reject) => {
        const answer = call()
        const each = { sinceMs: performance.now(), reject }
        waiting.add(each)
        answer.then(
          (value) => {
            waiting.delete(each)
            resolve(value)
          },
          (cause: unknown) => {
            waiting.delete(each)
            reject(cause)
          },
        )
      })
    },
    isOlderThan(ms) {
      const [oldest] = waiting
      return oldest !== undefined && performance.now() - oldest.sinceMs > ms
    },
  }
}
