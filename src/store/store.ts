/** The records of one session. Each is sealed before it comes here. */
export type RecordPart = 'identity' | 'tokens' | 'metadata'

/** Records read together, in the order asked for; nothing where a part is not there. */
export type SealedRecords = Readonly<Partial<Record<RecordPart, Buffer>>>

/**
 * Where sealed session records live. A port answers hit or miss and throws `AuthError` `store_unavailable` for
 * everything else: an error is never a miss (invariant I3). It holds no cache and knows no session id, only digests.
 */
export interface Store {
  /**
   * The parts asked for, in one round trip. A session that is not there has none of them. `timeoutMs` is for callers
   * that cannot wait as long as the store would.
   */
  read(digest: string, parts: readonly RecordPart[], timeoutMs?: number): Promise<SealedRecords>
  /** Writes a new session's records, which all end after `ttlMs`. */
  create(
    digest: string,
    records: Readonly<Record<RecordPart, Buffer>>,
    ttlMs: number,
  ): Promise<void>
  /**
   * Replaces identity and tokens where the tokens are still those of `before`; the session lives as long as it would
   * have. Other replicas are told.
   */
  replace(
    digest: string,
    records: Readonly<Record<'identity' | 'tokens', Buffer>>,
    before: Buffer,
  ): Promise<Replacement>
  /** Lets the session live `ttlMs` from now; false when it is not there. */
  extend(digest: string, ttlMs: number): Promise<boolean>
  /**
   * Ends the session for good: a tombstone keeps late writes from reviving it for `tombstoneMs`. Tells other replicas,
   * with the reason where there is one.
   */
  end(digest: string, tombstoneMs: number, reason?: EndReason): Promise<void>
  /** All sessions, in portions; one that comes or goes meanwhile may be missed, and one may come twice. */
  list(): AsyncIterable<readonly string[]>
}

/** `replaced`: newer sessions of the same user took its place. */
export type EndReason = 'replaced'

/** `changed`: somebody else has replaced the tokens; `gone`: the session has ended. */
export type Replacement = 'replaced' | 'changed' | 'gone'

/** Letters that stand for the records, the refresh lock and the tombstone of a session in names of keys. */
const LETTERS = { identity: 's', tokens: 't', metadata: 'm', lock: 'l', tombstone: 'x' } as const

/** Parts of a session that have a key each. */
export type KeyPart = keyof typeof LETTERS

/** Returns the full name of a key, which also binds the sealed value to its place. */
export function recordKey(prefix: string, digest: string, part: KeyPart): string {
  return `${prefix}{${digest}}:${LETTERS[part]}`
}
