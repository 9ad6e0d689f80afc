/** Owners of a session: digests of issuer and subject, and of issuer and the provider's session id (`sid`). */
export interface Owners {
  readonly user: string
  readonly providerSession?: string
}

export type OwnerKind = keyof Owners

/** Owner of a session by its kind. */
export interface Owner {
  readonly kind: OwnerKind
  readonly id: string
}

/**
 * Index of sessions by owner, for finding them without their cookies. Every session has an entry, because entries are
 * written first, so an entry may have no session; throws `AuthError` `store_unavailable` when the store gives no answer.
 */
export interface SessionsByOwner {
  add(digest: string, owners: Owners, ttlMs: number): Promise<void>
  list(kind: OwnerKind, owner: string): Promise<readonly string[]>
  remove(digest: string, owners: Partial<Owners>): Promise<void>
  /** Removes those of the entries that expire within `withinMs`; a later one may belong to a session being written. */
  removeLost(owner: Owner, digests: readonly string[], withinMs: number): Promise<void>
}
