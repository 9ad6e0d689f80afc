/** State of something that ends once, with a cause. */
export interface Lifetime {
  /** Aborts with the cause at the end. */
  readonly signal: AbortSignal
  readonly hasEnded: boolean
  /** Rejects with the cause at the end. */
  readonly lost: Promise<never>
  readonly end: (cause: unknown) => void
}

/** Creates a lifetime that ends with `parent` at the latest. Throws when `parent` has been aborted already. */
export function createLifetime(parent: AbortSignal): Lifetime {
  parent.throwIfAborted()
  const controller = new AbortController()
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined)
  const endWithParent = () => end(parent.reason)
  parent.addEventListener('abort', endWithParent)
  let hasEnded = false

  function end(cause: unknown): void {
    hasEnded = true
    parent.removeEventListener('abort', endWithParent)
    lost.reject(cause)
    controller.abort(cause)
  }

  return {
    signal: controller.signal,
    get hasEnded() {
      return hasEnded
    },
    lost: lost.promise,
    end,
  }
}
