/** Differences of other replicas that count only after a while, because replicas do not change at the same moment. */
export interface LastingDifferences {
  /** Takes whether a replica differs now; one that does not differ, or is unknown, starts anew. */
  note(replica: string, isDifferent: boolean): void
  /** Returns whether the replica has differed for longer than `LASTING_MS` without a break. */
  has(replica: string): boolean
  forget(replica: string): void
}

const LASTING_MS = 30_000

export function createLastingDifferences(): LastingDifferences {
  const sinceMs = new Map<string, number>()
  return {
    note(replica, isDifferent) {
      if (isDifferent) sinceMs.getOrInsertComputed(replica, () => performance.now())
      else sinceMs.delete(replica)
    },
    has: (replica) =>
      performance.now() - (sinceMs.get(replica) ?? Number.POSITIVE_INFINITY) > LASTING_MS,
    forget: (replica) => void sinceMs.delete(replica),
  }
}
