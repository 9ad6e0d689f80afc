/** A token that does not count any more although it is valid, by a digest of what names it. */
export interface DeniedToken {
  readonly token: string
  readonly leftMs: number
}

/** The denied tokens. Throws `AuthError` `store_unavailable` when it cannot tell. */
export interface DenyList {
  /** Denies it for `ttlMs`, or for longer where that was said before. Other replicas are told. */
  add(token: string, ttlMs: number): Promise<void>
  /** What has not ended. */
  list(): Promise<readonly DeniedToken[]>
}

/** Every replica reads all of it again and again. Whoever has more tokens to deny changes the key that signs them. */
export const MAX_DENIED_TOKENS = 10_000
