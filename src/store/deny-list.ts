/** Revoked token that is still within its lifetime, by a digest of its name. */
export interface DeniedToken {
  readonly token: string
  readonly leftMs: number
}

/** List of denied tokens. Throws `AuthError` `store_unavailable` when the list cannot be read or written. */
export interface DenyList {
  /** Denies a token for `ttlMs`, never shortens an earlier denial, and publishes the denial to other replicas. */
  add(token: string, ttlMs: number): Promise<void>
  list(): Promise<readonly DeniedToken[]>
}

/** Bounds the list, because every replica reads all of it periodically. Rotate the signing key to deny more tokens. */
export const MAX_DENIED_TOKENS = 10_000
