/**
 * Learns of the outcome of a command: one of its functions is called on it, exactly once. They use `this`, so that commands
 * share them, because functions of their own take 1 to 4 % of the CPU of a check in redis mode (C64).
 */
export interface ReplyHandler<T> {
  onReply(reply: T): void
  onFailure(cause: unknown): void
}

/** Returns a promise of the reply for callers that need no callbacks of their own. */
export function asPromise<T>(send: (handler: ReplyHandler<T>) => void): Promise<T> {
  return new Promise<T>((onReply, onFailure) => send({ onReply, onFailure }))
}
