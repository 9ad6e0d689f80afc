/**
 * Locks of sessions over all replicas, on a port of their own so that no cache can answer for them. A lock expires, so
 * writes under it are compare-and-set too; throws `AuthError` `store_unavailable` when the store gives no answer.
 */
export interface Locks {
  /** Takes a free lock; idempotent for its owner. */
  acquire(digest: string, lease: Lease): Promise<Acquisition>
  /** Takes the lock from its holder by compare-and-set on `seenValue`, which the holder has not changed since. */
  takeOver(digest: string, lease: Lease, seenValue: string): Promise<boolean>
  /**
   * Writes the note and extends the lock to `ttlMs` from now; resolves with false when it is no longer the owner's. With
   * `revive` recreates a missing lock, because it may have been lost with the store's data.
   */
  hold(digest: string, lease: Lease, revive?: boolean): Promise<boolean>
  /** Deletes the lock where it is the owner's. */
  release(digest: string, owner: string): Promise<void>
}

/** Lock as its owner wants it: the note that others read, and the time until it expires unless extended. */
export interface Lease {
  /** Random per attempt to take the lock; contains no blank. */
  readonly owner: string
  readonly note: string
  readonly ttlMs: number
}

/** Result of `acquire`; `value` is the value of another owner's lock, which changes with each `hold`. */
export type Acquisition =
  | { readonly isOurs: true }
  | { readonly isOurs: false; readonly value: string }

/** Returns the value of a lock: owner and note, joined by a blank. */
export function lockValueOf({ owner, note }: Lease): string {
  return `${ownerPart(owner)}${note}`
}

/** Returns the beginning of every value of this owner. */
export function ownerPart(owner: string): string {
  return `${owner} `
}

/** Returns the note of a lock's value; empty where another version wrote the value. */
export function noteOf(value: string): string {
  const at = value.indexOf(' ')
  return at < 0 ? '' : value.slice(at + 1)
}
