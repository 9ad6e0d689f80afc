/** When something was asked for, whether or not Redis could be asked then. */
export interface Moment {
  /** Milliseconds of this process's monotonic clock. */
  readonly atMs: number
  /** What began before had an earlier generation; nothing where that could not be told at the time. */
  readonly generation: number | undefined
  /** By how much the generation may be too late. */
  readonly doubt: number
  /** The latest end that was known of then. What began before may have taken it down, where it is ahead of the clock. */
  readonly counted?: number
}

/**
 * A number that grows with time and with each "end everything". A sign-in takes it down when it begins; its session
 * counts as long as nothing that was ended as a whole since then includes it. Of all clocks only Redis's own counts, and
 * a counter beside it where that clock goes back. Throws `AuthError` `store_unavailable` when it cannot tell.
 */
export interface Generations {
  current(): Promise<number>
  /** Now, without asking Redis. */
  moment(): Moment
  /** The first generation of what began after that moment, as far as it is known without asking Redis. */
  knownFrom(asked: Moment): number | undefined
  /** The same as Redis tells it, and rather too late than too early: in doubt what began before is not spared. */
  from(asked: Moment): Promise<number>
  /**
   * Whether this generation is yet to come, as far as is known without asking Redis: its clock went back since, so that
   * nobody can say whether what has it began before what was asked for, and in doubt it did.
   */
  isAhead(generation: number): boolean
  /**
   * Ends what began before it was asked for, of one owner or of everybody, and is remembered for `ttlMs`. Resolves with
   * the first generation that counts.
   */
  advance(owner: string | undefined, ttlMs: number, asked?: Moment): Promise<number>
  /** What began in an earlier generation than this and has one of these owners has ended; 0 where nothing was. */
  oldestOf(...owners: readonly string[]): Promise<number>
}
