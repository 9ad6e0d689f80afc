/**
 * Who may do something about a session just now, over all replicas. A port of its own, so that no cache can stand in
 * front of it. A lock ends by itself: what must not happen twice is guarded by what it writes, too. Throws `AuthError`
 * `store_unavailable` when it cannot tell.
 */
export interface Locks {
  /** False while somebody else has it; its owner gets it again. */
  acquire(digest: string, owner: string, ttlMs: number): Promise<boolean>
  /** Lets it last `ttlMs` from now; false where it is not the owner's any more. */
  extend(digest: string, owner: string, ttlMs: number): Promise<boolean>
  release(digest: string, owner: string): Promise<void>
}
