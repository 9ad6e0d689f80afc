export interface SingleFlight<T> {
  /** Starts a call, or joins the one in flight. */
  readonly run: () => Promise<T>
  /** Call in flight, if there is one. */
  readonly current: Promise<T> | undefined
}

/** Shares one call among all callers while it is in flight; the next caller after it starts another. */
export function createSingleFlight<T>(call: () => Promise<T>): SingleFlight<T> {
  let current: Promise<T> | undefined
  return {
    run() {
      current ??= call().finally(() => {
        current = undefined
      })
      return current
    },
    get current() {
      return current
    },
  }
}
