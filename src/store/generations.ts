/**
 * A number that grows with each "end everything". A sign-in takes it down when it begins; its session counts as long
 * as nothing that was ended as a whole since then includes it. Redis's clock only stands in for a number that was lost,
 * and no other clock counts. Throws `AuthError` `store_unavailable` when it cannot tell.
 */
export interface Generations {
  current(): Promise<number>
  /** Ends what began before, of one owner or of everybody, and is remembered for `ttlMs`. */
  advance(owner: string | undefined, ttlMs: number): Promise<void>
  /** What began in an earlier generation than this and has one of these owners has ended; 0 where nothing was. */
  oldestOf(...owners: readonly string[]): Promise<number>
}
