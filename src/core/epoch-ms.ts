/** Milliseconds since the Unix epoch, by the wall clock. */
export type EpochMs = number
