/**
 * Who may do something about a session just now, over all replicas. A port of its own, so that no cache can stand in
 * front of it. A lock ends by itself: what must not happen twice is guarded by what it writes, too. Throws `AuthError`
 * `store_unavailable` when it cannot tell.
 */
export interface Locks {
  /** Takes it where nobody has it; its owner gets it again. */
  acquire(digest: string, owner: string, note: string, ttlMs: number): Promise<Acquisition>
  /** Takes it from the holder who has written this mark, and has not been heard of since. */
  takeOver(
    digest: string,
    owner: string,
    note: string,
    ttlMs: number,
    mark: string,
  ): Promise<boolean>
  /**
   * Writes another note, and lets the lock last `ttlMs` from now; false where it is not the owner's any more. With
   * `revive` also where nobody has it, since it may have been lost with the data of the store.
   */
  hold(
    digest: string,
    owner: string,
    note: string,
    ttlMs: number,
    revive?: boolean,
  ): Promise<boolean>
  release(digest: string, owner: string): Promise<void>
}

/** The mark is all that stands at a lock of somebody else: it changes when they are heard of. */
export type Acquisition =
  | { readonly isOurs: true }
  | { readonly isOurs: false; readonly mark: string }

/** Owners have no blank in their names. */
export function markOf(owner: string, note: string): string {
  return `${ownerPart(owner)}${note}`
}

export function ownerPart(owner: string): string {
  return `${owner} `
}

/** Empty where the mark is of another version. */
export function noteOf(mark: string): string {
  const at = mark.indexOf(' ')
  return at < 0 ? '' : mark.slice(at + 1)
}
