import { LRUCache } from 'lru-cache'
import type { Identity } from '../core/identity.ts'
import type { Session, SessionCredential } from '../core/session.ts'
import type { SealedRecords } from '../store/store.ts'
import { heldBytes } from './held-bytes.ts'
import { isSameSecret } from './same-secret.ts'
import { areSame, type PackedRecords, pack } from './sealed-records.ts'

/**
 * Cache of decrypted sessions (L1), found by the cookie's id and evicted by its digest, so that a hit needs no hash.
 * Each entry holds its cookie's secret, because the right id with a wrong secret must miss.
 */
export interface SessionCache {
  /** Whether a check may be answered from memory, without a round trip to the store. */
  readonly canRecall: boolean
  /** Returns a cache hit up to `servedMs` old; `undefined` where a message of a change may have been missed. */
  recall(credential: SessionCredential, realm: string): CachedSession | undefined
  /** Returns an entry up to `keptMs` old, for a store outage. */
  recallStale(credential: SessionCredential, realm: string): CachedSession | undefined
  /** Returns the entry of an id, whose digest spares a hash. Says nothing about the secret, which `reopen` compares. */
  entryOf(credential: SessionCredential): CacheEntry | undefined
  /**
   * Returns the cached session if these records are unchanged, so that they are not decrypted again. Evicts a session
   * without a record in the store, because a later outage would revive it.
   */
  reopen(
    presented: PresentedSession,
    records: SealedRecords,
    ticket: FillTicket,
  ): CachedSession | undefined
  /** Returns a ticket that a fill needs; it is taken before the read. */
  fillTicket(): FillTicket
  /** Stores nothing if anything was evicted since the ticket was taken. */
  keep(
    presented: PresentedSession,
    records: SealedRecords,
    session: Session,
    ticket: FillTicket,
  ): CachedSession
  /** Removes the entry and voids the tickets of reads in flight. */
  evict(digest: string): void
  /** Stops serving the entry but keeps it for a store outage. Voids the tickets of reads in flight. */
  expire(digest: string): void
  clear(): void
  readonly size: number
  /** Memory that the entries take. */
  readonly bytes: number
}

/** Session, its digest, and when (monotonic clock) the store last confirmed it. */
export interface CachedSession {
  readonly session: Session
  readonly digest: string
  readonly confirmedAtMs: number
}

/** Session cookie of a request, with the realm it was sent to. */
export interface PresentedSession {
  readonly digest: string
  readonly credential: SessionCredential
  readonly realm: string
  /** Entry that the id had before a read, which spares `reopen` another look for it. */
  readonly entry?: CacheEntry | undefined
}

/** State of the cache before a read. */
export interface FillTicket {
  readonly evictions: number
  readonly subscription: number | undefined
  readonly takenAtMs: number
}

/** Session as it is cached. */
export interface CacheEntry extends CachedSession {
  readonly realm: string
  readonly sealed: PackedRecords
  readonly secret: string
  confirmedAtMs: number
  subscription: number | undefined
}

export interface SessionCacheOptions {
  readonly maxEntries: number
  /** Bound of the memory that the entries take. */
  readonly maxBytes: number
  /** Age up to which an entry is served. */
  readonly servedMs: number
  /** Age up to which an entry stands in during a store outage. */
  readonly keptMs: number
  readonly canRecall: boolean
  /** Returns the bytes of what checks make of an identity beside its own texts. */
  readonly composedBytes: (identity: Identity) => number
  /** Returns the subscription in which every message of a change arrives; `undefined` while messages may be missed. */
  readonly subscription: () => number | undefined
  readonly onLookUp: (result: LookUp) => void
}

export type LookUp = 'hit' | 'miss' | 'bypassed'

/** Evicts the least recently used entry when a bound is reached. */
export function createSessionCache(options: SessionCacheOptions): SessionCache {
  const { servedMs, keptMs, composedBytes, subscription, onLookUp } = options
  const byDigest = new Map<string, string>()
  const cache = new LRUCache<string, CacheEntry>({
    max: options.maxEntries,
    maxSize: options.maxBytes,
    dispose: ({ digest }) => byDigest.delete(digest),
  })
  let evictions = 0
  let lastRealm = ''

  /** Returns the same text for entries of one host that follow each other, because their requests each bring another. */
  function sharedRealm(realm: string): string {
    if (realm !== lastRealm) lastRealm = unsliced(realm)
    return lastRealm
  }
  function find({ id, secret }: SessionCredential, realm: string): CacheEntry | undefined {
    const entry = cache.get(id)
    return entry?.realm === realm && isSameSecret(entry.secret, secret) ? entry : undefined
  }
  function evict(digest: string): void {
    evictions++
    const id = byDigest.get(digest)
    if (id !== undefined) cache.delete(id)
  }
  const isYounger = ({ confirmedAtMs }: CacheEntry, ageMs: number) =>
    performance.now() - confirmedAtMs < ageMs

  return {
    canRecall: options.canRecall,
    recall(credential, realm) {
      const entry = find(credential, realm)
      if (!entry || !isYounger(entry, servedMs)) {
        onLookUp('miss')
        return undefined
      }
      const isOfSubscription =
        entry.subscription !== undefined && entry.subscription === subscription()
      onLookUp(isOfSubscription ? 'hit' : 'bypassed')
      return isOfSubscription ? entry : undefined
    },
    recallStale(credential, realm) {
      const entry = find(credential, realm)
      return entry && isYounger(entry, keptMs) ? entry : undefined
    },
    entryOf: ({ id }) => cache.get(id),
    reopen({ digest, credential, realm, entry = cache.get(credential.id) }, records, ticket) {
      if (entry?.realm !== realm || !isSameSecret(entry.secret, credential.secret)) return undefined
      if (records.identity === undefined) {
        evict(digest)
        return undefined
      }
      if (!areSame(entry.sealed, records)) return undefined
      if (ticket.evictions === evictions) {
        entry.confirmedAtMs = ticket.takenAtMs
        entry.subscription = ticket.subscription
      }
      return entry
    },
    fillTicket: () => ({ evictions, subscription: subscription(), takenAtMs: performance.now() }),
    keep({ digest, credential, ...presented }, records, session, ticket) {
      const { takenAtMs: confirmedAtMs } = ticket
      if (ticket.evictions !== evictions) return { session, digest, confirmedAtMs }
      const sealed = pack(records)
      const realm = sharedRealm(presented.realm)
      const [id, secret] = [unsliced(credential.id), unsliced(credential.secret)]
      const size = heldBytes(session, sealed.text.length) + composedBytes(session.identity)
      const entry = {
        session,
        digest,
        realm,
        sealed,
        secret,
        confirmedAtMs,
        subscription: ticket.subscription,
      }
      cache.set(id, entry, { size })
      if (cache.has(id)) byDigest.set(digest, id)
      return entry
    },
    evict,
    expire(digest) {
      evictions++
      const id = byDigest.get(digest)
      const entry = id === undefined ? undefined : cache.peek(id)
      if (entry) entry.subscription = undefined
    },
    clear() {
      evictions++
      cache.clear()
    },
    get size() {
      return cache.size
    },
    get bytes() {
      return cache.calculatedSize
    },
  }
}

/** Copies a text, because a part of a header keeps the whole header in memory. */
function unsliced(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
