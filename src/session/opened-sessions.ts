import { hash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Session, SessionCredential } from '../core/session.ts'
import type { SealedRecords } from '../store/store.ts'

/**
 * Sessions opened a moment ago, each kept with the digest of its cookie's secret: the right id with a wrong secret is
 * no session.
 */
export interface OpenedSessions {
  /** Without asking the store (the L1); nothing where every check has to ask. */
  recall(digest: string, credential: SessionCredential, realm: string): Session | undefined
  /** What these records gave when they were opened before, so that the same bytes are not decrypted again. */
  reopen(
    digest: string,
    credential: SessionCredential,
    realm: string,
    records: SealedRecords,
  ): Session | undefined
  /** Taken before a read; `keep` stores nothing if anything was evicted in between. */
  fillTicket(): number
  keep(digest: string, credential: SessionCredential, opened: OpenedSession, ticket: number): void
  evict(digest: string): void
  clear(): void
  readonly size: number
}

/** A session and what it was opened from. */
export interface OpenedSession {
  readonly session: Session
  readonly realm: string
  readonly records: SealedRecords
}

interface Entry extends OpenedSession {
  readonly secretDigest: Buffer
}

/** Bounds: `maxEntries`, `maxBytes` (an estimate from the JSON form) and the age up to which an entry is served. */
export interface OpenedSessionsOptions {
  readonly maxEntries: number
  readonly maxBytes: number
  readonly maxAgeMs: number
  /** Whether a session may be served without asking the store. */
  readonly recalls: boolean
  readonly onLookUp: (result: 'hit' | 'miss') => void
}

/** How old the cache's idea of the time may be; asking the clock for every lookup costs more than the lookup. */
const CLOCK_RESOLUTION_MS = 50

/** Least recently used goes first when a bound is reached. */
export function createOpenedSessions(options: OpenedSessionsOptions): OpenedSessions {
  const cache = new LRUCache<string, Entry>({
    max: options.maxEntries,
    maxSize: options.maxBytes,
    ttl: options.maxAgeMs,
    ttlResolution: CLOCK_RESOLUTION_MS,
  })
  let evictions = 0
  const find = (digest: string, { secret }: SessionCredential, realm: string) => {
    const entry = cache.get(digest)
    return entry?.realm === realm && isSecretOf(entry, secret) ? entry : undefined
  }
  return {
    recall(digest, credential, realm) {
      if (!options.recalls) return undefined
      const entry = find(digest, credential, realm)
      options.onLookUp(entry ? 'hit' : 'miss')
      return entry?.session
    },
    reopen(digest, credential, realm, records) {
      const entry = find(digest, credential, realm)
      return entry && isSame(entry.records, records) ? entry.session : undefined
    },
    fillTicket: () => evictions,
    keep(digest, { secret }, opened, ticket) {
      if (ticket !== evictions) return
      const secretDigest = Buffer.from(hash('sha256', secret, 'hex'))
      const size = 400 + 2 * JSON.stringify(opened.session).length + bytesOf(opened.records)
      cache.set(digest, { ...opened, secretDigest }, { size })
    },
    evict(digest) {
      evictions++
      cache.delete(digest)
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

/** Reused, since making a buffer for every check would cost more than the digest itself. */
const presented = Buffer.alloc(64)

function isSecretOf({ secretDigest }: Entry, secret: string): boolean {
  presented.write(hash('sha256', secret, 'hex'), 'latin1')
  return timingSafeEqual(secretDigest, presented)
}

/** A session that is not there any more has no records, which are not those of before. */
function isSame(known: SealedRecords, found: SealedRecords): boolean {
  return found.s !== undefined && isEqual(known.s, found.s) && isEqual(known.t, found.t)
}

function isEqual(known: Buffer | undefined, found: Buffer | undefined): boolean {
  return known === undefined || found === undefined ? known === found : known.equals(found)
}

function bytesOf({ s, t }: SealedRecords): number {
  return (s?.length ?? 0) + (t?.length ?? 0)
}
