/** Commands of one connection that await their reply. */
export interface PendingReplies {
  /** Runs `call`; rejects with the cause of the connection's end if that comes before the reply. */
  run<T>(call: () => Promise<T>): Promise<T>
  /** Returns whether the oldest of them has waited for longer than this. */
  isOlderThan(ms: number): boolean
}

interface Waiting {
  readonly sinceMs: number
  readonly reject: (cause: unknown) => void
}

/**
 * Rejects all waiting commands when `signal` ends the connection, because node-redis 6.3.1 never settles a SUBSCRIBE or
 * UNSUBSCRIBE that comes after the end of its client (finding C74). `locate` adds the server to each failure.
 */
export function createPendingReplies(
  signal: AbortSignal,
  locate: (cause: unknown) => unknown = (cause) => cause,
): PendingReplies {
  const waiting = new Set<Waiting>()
  const rejectAll = () => {
    for (const { reject } of waiting) reject(signal.reason)
    waiting.clear()
  }
  signal.addEventListener('abort', rejectAll, { once: true })

  return {
    run<T>(call: () => Promise<T>) {
      if (signal.aborted) return Promise.reject(signal.reason)
      // Shares one abort listener, because one for each command would stay on the signal after the reply.
      return new Promise<T>((resolve, reject) => {
        const reply = call()
        const each = { sinceMs: performance.now(), reject }
        waiting.add(each)
        reply.then(
          (value) => {
            waiting.delete(each)
            resolve(value)
          },
          (cause: unknown) => {
            waiting.delete(each)
            reject(locate(cause))
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
