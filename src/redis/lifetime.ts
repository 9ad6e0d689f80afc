/** From its beginning to the one end that somebody brings about. */
export interface Lifetime {
  readonly signal: AbortSignal
  readonly isOver: boolean
  /** Rejects with the cause of the end. */
  readonly lost: Promise<never>
  readonly end: (cause: unknown) => void
}

/** Ends with `parent` at the latest. Throws when that is over already. */
export function createLifetime(parent: AbortSignal): Lifetime {
  parent.throwIfAborted()
  const controller = new AbortController()
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined)
  const endWithParent = () => end(parent.reason)
  parent.addEventListener('abort', endWithParent)

  function end(cause: unknown): void {
    parent.removeEventListener('abort', endWithParent)
    lost.reject(cause)
    controller.abort(cause)
  }

  return {
    signal: controller.signal,
    get isOver() {
      return controller.signal.aborted
    },
    lost: lost.promise,
    end,
  }
}
