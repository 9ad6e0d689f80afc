/**
 * Locks of sessions over all replicas, on a port of their own so that no cache can answer for them. A lock expires, so
 * writes under it are compare-and-set too; throws `AuthError` `store_unavailable` when the store gives no answer.
 */
export interface Locks {
  /** Takes a free lock; idempotent for its owner. */
  acquire(digest: string, owner: string, note: string, ttlMs: number): Promise<Acquisition>
  /** Takes the lock from its holder by compare-and-set on `mark`, which the holder has not changed since. */
  takeOver(
    digest: string,
    owner: string,
    note: string,
    ttlMs: number,
    mark: string,
  ): Promise<boolean>
  /**
   * Writes a note and extends the lock to `ttlMs` from now; resolves with false when it is no longer the owner's. With
   * `revive` recreates a missing lock, because it may have been lost with the store's data.
   */
  hold(
    digest: string,
    owner: string,
    note: string,
    ttlMs: number,
    revive?: boolean,
  ): Promise<boolean>
  /** Deletes the lock where it is the owner's. */
  release(digest: string, owner: string): Promise<void>
}

/** Result of `acquire`; `mark` is the value of another owner's lock, which changes with each `hold`. */
export type Acquisition =
  | { readonly isOurs: true }
  | { readonly isOurs: false; readonly mark: string }

/** Joins owner and note with a blank, which no owner contains. */
export function markOf(owner: string, note: string): string {
  return `${ownerPart(owner)}${note}`
}

/** Returns the beginning of every mark of this owner. */
export function ownerPart(owner: string): string {
  return `${owner} `
}

/** Returns the note of a mark; empty where another version wrote the mark. */
export function noteOf(mark: string): string {
  const at = mark.indexOf(' ')
  return at < 0 ? '' : mark.slice(at + 1)
}
