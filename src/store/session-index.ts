/** Whose a session is: digests of issuer and subject, and of issuer and the provider's own session id. */
export interface Owners {
  readonly user: string
  readonly providerSession?: string
}

export type OwnerKind = keyof Owners

/** One of a session's owners. */
export interface Owner {
  readonly kind: OwnerKind
  readonly id: string
}

/**
 * Finds sessions without their cookies. Entries are written before their sessions, so one may lead nowhere, and no
 * session is without. Throws `AuthError` `store_unavailable` when it cannot tell.
 */
export interface SessionIndex {
  add(digest: string, owners: Owners, ttlMs: number): Promise<void>
  /** Digests of the sessions that have not reached their end. */
  list(kind: OwnerKind, owner: string): Promise<readonly string[]>
  remove(digest: string, owners: Partial<Owners>): Promise<void>
  /**
   * Removes those of the entries that expire within `withinMs`, which spares one whose session is about to be written.
   */
  removeLost(owner: Owner, digests: readonly string[], withinMs: number): Promise<void>
}
