/** Moment of an order to end sessions, recorded whether or not Redis could be reached. */
export interface Moment {
  /** Milliseconds of this process's monotonic clock. */
  readonly atMs: number
  /** First generation after the moment; `undefined` where it was not known at the time. */
  readonly generation: number | undefined
  /** Upper bound, in generations, of how much too late `generation` may be. */
  readonly uncertainty: number
  /** Counter of the latest order known then. Sign-ins before may have recorded it, where it is ahead of the clock. */
  readonly counted?: number
}

/**
 * Numbers that grow with time and order sign-ins before or after an order to end sessions, because each sign-in records
 * the generation of its start. They come from Redis's clock and a counter for when that clock is set back; throws
 * `AuthError` `store_unavailable` without Redis.
 */
export interface Generations {
  current(): Promise<number>
  /** Returns the current moment without asking Redis. */
  moment(): Moment
  /** Returns the first generation after the moment; `undefined` where only Redis can tell. */
  knownFrom(asked: Moment): number | undefined
  /**
   * Resolves with the first generation after the moment, read from Redis; rounds up, so that no earlier sign-in is
   * spared.
   */
  from(asked: Moment): Promise<number>
  /**
   * Returns whether this generation is later than Redis's clock, which was set back since, so that its sign-in counts
   * as earlier than any order. Makes no round trip.
   */
  isAhead(generation: number): boolean
  /**
   * Ends the sessions of one owner, or of everybody, that began before `asked`, and keeps the order for `ttlMs`.
   * Resolves with the first generation that is spared.
   */
  advance(owner: string | undefined, ttlMs: number, asked?: Moment): Promise<number>
  /** Resolves with the oldest generation that is valid for a session of all these owners; 0 without any order. */
  oldestOf(...owners: readonly string[]): Promise<number>
}
