import { hash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Session, SessionCredential } from '../core/session.ts'
import type { SealedRecords } from '../store/store.ts'
import { areSame, bytesOf } from './sealed-records.ts'

/**
 * Cache of decrypted sessions (L1). Each entry holds the digest of its cookie's secret, because the right id with a
 * wrong secret must miss.
 */
export interface SessionCache {
  /** Whether a check may be answered from memory, without a round trip to the store. */
  readonly canRecall: boolean
  /** Returns a cache hit up to `servedMs` old; `undefined` where a message of a change may have been missed. */
  recall(digest: string, credential: SessionCredential, realm: string): CachedSession | undefined
  /** Returns an entry up to `keptMs` old, for a store outage. */
  recallStale(
    digest: string,
    credential: SessionCredential,
    realm: string,
  ): CachedSession | undefined
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
}

/** Session and when (monotonic clock) the store last confirmed it. */
export interface CachedSession {
  readonly session: Session
  readonly confirmedAtMs: number
}

/** Session cookie of a request, with the realm it was sent to. */
export interface PresentedSession {
  readonly digest: string
  readonly credential: SessionCredential
  readonly realm: string
}

/** State of the cache before a read. */
export interface FillTicket {
  readonly evictions: number
  readonly subscription: number | undefined
  readonly takenAtMs: number
}

interface Entry {
  readonly session: Session
  readonly realm: string
  readonly records: SealedRecords
  readonly secretDigest: Buffer
  confirmedAtMs: number
  subscription: number | undefined
}

export interface SessionCacheOptions {
  readonly maxEntries: number
  /** Bound of the estimated size: the JSON form and the sealed records. */
  readonly maxBytes: number
  /** Age up to which an entry is served. */
  readonly servedMs: number
  /** Age up to which an entry stands in during a store outage. */
  readonly keptMs: number
  readonly canRecall: boolean
  /** Returns the subscription in which every message of a change arrives; `undefined` while messages may be missed. */
  readonly subscription: () => number | undefined
  readonly onLookUp: (result: LookUp) => void
}

export type LookUp = 'hit' | 'miss' | 'bypassed'

/** Age of the LRU's cached clock reading. */
const CLOCK_RESOLUTION_MS = 50

/** Evicts the least recently used entry when a bound is reached. */
export function createSessionCache(options: SessionCacheOptions): SessionCache {
  const { servedMs, keptMs, subscription, onLookUp } = options
  const cache = new LRUCache<string, Entry>({
    max: options.maxEntries,
    maxSize: options.maxBytes,
    ttl: Math.max(servedMs, keptMs),
    ttlResolution: CLOCK_RESOLUTION_MS,
    updateAgeOnGet: true,
  })
  let evictions = 0

  function find(digest: string, { secret }: SessionCredential, realm: string) {
    const entry = cache.get(digest)
    return entry?.realm === realm && isSecretOf(entry, secret) ? entry : undefined
  }
  function evict(digest: string): void {
    evictions++
    cache.delete(digest)
  }
  const isYounger = ({ confirmedAtMs }: Entry, ageMs: number) =>
    performance.now() - confirmedAtMs < ageMs

  return {
    canRecall: options.canRecall,
    recall(digest, credential, realm) {
      const entry = find(digest, credential, realm)
      if (!entry || !isYounger(entry, servedMs)) {
        onLookUp('miss')
        return undefined
      }
      const isOfSubscription =
        entry.subscription !== undefined && entry.subscription === subscription()
      onLookUp(isOfSubscription ? 'hit' : 'bypassed')
      return isOfSubscription ? entry : undefined
    },
    recallStale(digest, credential, realm) {
      const entry = find(digest, credential, realm)
      return entry && isYounger(entry, keptMs) ? entry : undefined
    },
    reopen({ digest, credential, realm }, records, ticket) {
      const entry = find(digest, credential, realm)
      if (!entry) return undefined
      if (records.identity === undefined) {
        evict(digest)
        return undefined
      }
      if (!areSame(entry.records, records)) return undefined
      if (ticket.evictions === evictions) {
        entry.confirmedAtMs = ticket.takenAtMs
        entry.subscription = ticket.subscription
      }
      return entry
    },
    fillTicket: () => ({ evictions, subscription: subscription(), takenAtMs: performance.now() }),
    keep({ digest, credential, realm }, records, session, ticket) {
      const confirmedAtMs = ticket.takenAtMs
      if (ticket.evictions === evictions) {
        const size = 400 + 2 * JSON.stringify(session).length + bytesOf(records)
        const secretDigest = Buffer.from(hash('sha256', credential.secret, 'hex'))
        const { subscription } = ticket
        const entry = { session, realm, records, secretDigest, confirmedAtMs, subscription }
        cache.set(digest, entry, { size })
      }
      return { session, confirmedAtMs }
    },
    evict,
    expire(digest) {
      evictions++
      const entry = cache.peek(digest)
      if (entry) entry.subscription = undefined
    },
    clear() {
      evictions++
      cache.clear()
    },
    get size() {
      return cache.size
    },
  }
}

/** Buffer that every comparison reuses. */
const presentedDigest = Buffer.alloc(64)

function isSecretOf({ secretDigest }: Entry, secret: string): boolean {
  presentedDigest.write(hash('sha256', secret, 'hex'), 'latin1')
  return timingSafeEqual(secretDigest, presentedDigest)
}
