/** Callbacks of a command that was sent. One of them is called, once, unless the caller has given up. */
export interface ReplyHandler<T> {
  readonly onReply: (reply: T) => void
  readonly onFailure: (cause: unknown) => void
}

/** Returns a promise of the reply for callers that need no callbacks of their own. */
export function asPromise<T>(send: (handler: ReplyHandler<T>) => void): Promise<T> {
  return new Promise<T>((onReply, onFailure) => send({ onReply, onFailure }))
}
