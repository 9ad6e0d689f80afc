import type { EndReason } from '../core/end-reason.ts'

/** Record of a session, which callers seal before they write it. */
export type RecordPart = 'identity' | 'tokens' | 'metadata'

/** Records by part; a part that was not asked for, or that the store lacks, is absent. */
export type SealedRecords = Readonly<Partial<Record<RecordPart, Buffer>>>

/**
 * Store of sealed session records by the digest of the session id, without any cache. Answers hit or miss and throws
 * `AuthError` `store_unavailable` otherwise, because an error is never a miss.
 */
export interface Store {
  /**
   * Reads the parts in one round trip; an absent session has none of them. `timeoutMs` shortens the store's own limit.
   */
  read(digest: string, parts: readonly RecordPart[], timeoutMs?: number): Promise<SealedRecords>
  /** Writes a new session's records with a TTL of `ttlMs`. */
  create(
    digest: string,
    records: Readonly<Record<RecordPart, Buffer>>,
    ttlMs: number,
  ): Promise<void>
  /**
   * Replaces identity and tokens by compare-and-set on the tokens, keeps the TTL, and publishes the eviction to other
   * replicas.
   */
  replace(
    digest: string,
    records: Readonly<Record<'identity' | 'tokens', Buffer>>,
    before: Buffer,
  ): Promise<Replacement>
  /** Sets the session's TTL; resolves with false when the session is absent. */
  extend(digest: string, ttlMs: number): Promise<boolean>
  /**
   * Ends the session, leaves a tombstone for `tombstoneMs` that refuses late writes, and publishes the end with its
   * reason to other replicas. The tombstone keeps the reason of the first end, and the longer lifetime.
   */
  end(digest: string, tombstoneMs: number, reason: EndReason): Promise<void>
  /**
   * Reads for each digest, in this order, whether its session exists, and how long it lives on unless it is extended;
   * in portions, so that any number may be asked about. Rejects whole where the store fails on one.
   */
  readLives(digests: readonly string[]): Promise<readonly SessionLife[]>
  /** Lists all digests in portions. A session created or ended meanwhile may be missed, and any may appear twice. */
  list(): AsyncIterable<readonly string[]>
}

/** State of a session in the store; the tombstone, where there is one, tells why a session has ended. */
export type SessionLife =
  | { readonly kind: 'alive'; readonly leftMs: number }
  | { readonly kind: 'ended'; readonly reason: EndReason | undefined }

/** Outcome of `replace`: `changed` means that the compare-and-set failed, `gone` that the session has ended. */
export type Replacement = 'replaced' | 'changed' | 'gone'

/** Letters that stand for the records, the refresh lock and the tombstone of a session in names of keys. */
const LETTERS = { identity: 's', tokens: 't', metadata: 'm', lock: 'l', tombstone: 'x' } as const

/** Part of a session that has a key of its own. */
export type KeyPart = keyof typeof LETTERS

/** Returns the full name of a key, which also binds the sealed value to its place. */
export function recordKey(prefix: string, digest: string, part: KeyPart): string {
  return `${prefix}{${digest}}:${LETTERS[part]}`
}
