/** Moment of an order, recorded whether or not Redis could be reached. */
export interface Moment {
  /** Milliseconds of this process's monotonic clock. */
  readonly atMs: number
  /** First generation after the moment; `undefined` where it was not known at the time. */
  readonly generation: number | undefined
  /** Upper bound of how much too late the generation may be. */
  readonly doubt: number
  /** The latest end that was known of then. What began before may have taken it down, where it is ahead of the clock. */
  readonly counted?: number
}

/**
 * Number that grows with time, by which an order to end all sessions tells those begun before it: a sign-in records it
 * at its start. Only Redis's clock counts, with a counter for when it goes back; throws `AuthError` `store_unavailable`
 * without Redis.
 */
export interface Generations {
  current(): Promise<number>
  /** Returns the current moment without asking Redis. */
  moment(): Moment
  /** Returns the first generation after that moment; `undefined` where it is not known without asking Redis. */
  knownFrom(asked: Moment): number | undefined
  /** Resolves with the same from Redis. Errs on the late side, so that in doubt nothing begun before is spared. */
  from(asked: Moment): Promise<number>
  /**
   * Returns whether this generation is later than Redis's clock, which went back since: in doubt what has it began before
   * what was asked for. Asks nothing of Redis.
   */
  isAhead(generation: number): boolean
  /**
   * Ends what began before `asked`, of one owner or of everybody, and remembers it for `ttlMs`. Resolves with the first
   * generation that is spared.
   */
  advance(owner: string | undefined, ttlMs: number, asked?: Moment): Promise<number>
  /** What began in an earlier generation than this and has one of these owners has ended; 0 where nothing was. */
  oldestOf(...owners: readonly string[]): Promise<number>
}
