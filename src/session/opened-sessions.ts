import { hash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Session, SessionCredential } from '../core/session.ts'

/**
 * The L1: sessions opened a moment ago, so that a check needs no I/O and no decryption. Each is kept with the
 * digest of its cookie's secret, and the right id with a wrong secret is no session.
 */
export interface OpenedSessions {
  find(digest: string, credential: SessionCredential, realm: string): Session | undefined
  /** Taken before a read; `keep` stores nothing if anything was evicted in between. */
  fillTicket(): number
  keep(
    digest: string,
    credential: SessionCredential,
    realm: string,
    session: Session,
    ticket: number,
  ): void
  evict(digest: string): void
  clear(): void
  readonly size: number
}

interface Opened {
  readonly session: Session
  readonly secretDigest: Buffer
  readonly realm: string
}

/** Bounds: `maxEntries`, `maxBytes` (an estimate from the JSON form) and the age up to which an entry is served. */
export interface OpenedSessionsOptions {
  readonly maxEntries: number
  readonly maxBytes: number
  readonly maxAgeMs: number
  readonly onLookUp: (result: 'hit' | 'miss') => void
}

/** How old the cache's idea of the time may be; asking the clock for every lookup costs more than the lookup. */
const CLOCK_RESOLUTION_MS = 50

/** Least recently used goes first when a bound is reached. */
export function createOpenedSessions(options: OpenedSessionsOptions): OpenedSessions {
  const cache = new LRUCache<string, Opened>({
    max: options.maxEntries,
    maxSize: options.maxBytes,
    ttl: options.maxAgeMs,
    ttlResolution: CLOCK_RESOLUTION_MS,
  })
  let evictions = 0
  return {
    find(digest, { secret }, realm) {
      const opened = cache.get(digest)
      const isHit = opened !== undefined && opened.realm === realm && isSecretOf(opened, secret)
      options.onLookUp(isHit ? 'hit' : 'miss')
      return isHit ? opened.session : undefined
    },
    fillTicket: () => evictions,
    keep(digest, { secret }, realm, session, ticket) {
      if (ticket !== evictions) return
      const opened = { session, secretDigest: Buffer.from(hash('sha256', secret, 'hex')), realm }
      cache.set(digest, opened, { size: 400 + 2 * JSON.stringify(session).length })
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

/** For modes in which every check asks the store. */
export const NO_OPENED_SESSIONS: OpenedSessions = {
  find: () => undefined,
  fillTicket: () => 0,
  keep: () => undefined,
  evict: () => undefined,
  clear: () => undefined,
  size: 0,
}

/** Reused, since making a buffer for every check would cost more than the digest itself. */
const presented = Buffer.alloc(64)

function isSecretOf({ secretDigest }: Opened, secret: string): boolean {
  presented.write(hash('sha256', secret, 'hex'), 'latin1')
  return timingSafeEqual(secretDigest, presented)
}
