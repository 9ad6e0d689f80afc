import { LRUCache } from 'lru-cache'

/** TTL of the knowledge that a session's records are of usual size. */
const USUAL_MS = 5000
/**
 * TTL of the knowledge that records are oversized; they are not read meanwhile, because they delay the whole
 * connection.
 */
const OVERSIZED_MS = 60_000
const MAX_DIGESTS = 10_000

/**
 * Lets one read of a session of unknown size go first while the others wait, because many at once would queue 50 MB
 * answers (threat A91).
 */
export interface ScoutedReads {
  /**
   * Resolves with what `fetch` makes of an answer that it has shown to `isUsual`, and with `unusable` where the records
   * are known to be oversized.
   */
  read<T>(digest: string, fetch: () => Promise<T>, unusable: () => T): Promise<T>
  /** Returns whether an answer can be used. Notes an oversized one, also after its caller's deadline. */
  isUsual(digest: string, values: Values): boolean
}

/** Values of the keys that were read, `null` for an absent key. */
export type Values = readonly (Buffer | null)[]

/** Creates reads for which a session with a value larger than `maxBytes` is unusable. */
export function createScoutedReads(maxBytes: number): ScoutedReads {
  const size = new LRUCache<string, 'usual' | 'oversized'>({ max: MAX_DIGESTS })
  const scouts = new Map<string, Promise<unknown>>()

  async function scout<T>(digest: string, fetch: () => Promise<T>): Promise<T> {
    const found = fetch()
    scouts.set(digest, found)
    try {
      const value = await found
      if (!size.has(digest)) size.set(digest, 'usual', { ttl: USUAL_MS })
      return value
    } finally {
      scouts.delete(digest)
    }
  }

  async function readUnknown<T>(
    digest: string,
    fetch: () => Promise<T>,
    unusable: () => T,
  ): Promise<T> {
    const ahead = scouts.get(digest)
    if (!ahead) return scout(digest, fetch)
    await ahead.catch(() => undefined)
    return size.get(digest) === 'oversized' ? unusable() : fetch()
  }

  return {
    read(digest, fetch, unusable) {
      switch (size.get(digest)) {
        case 'usual':
          return fetch()
        case 'oversized':
          return Promise.resolve(unusable())
        case undefined:
          return readUnknown(digest, fetch, unusable)
      }
    },
    isUsual(digest, values) {
      const isUsual = values.every((value) => (value?.length ?? 0) <= maxBytes)
      if (!isUsual) size.set(digest, 'oversized', { ttl: OVERSIZED_MS })
      return isUsual
    },
  }
}
