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
  read(digest: string, fetch: () => Promise<Values>): Promise<Values>
}

/** Values of the keys that were read, `null` for an absent key. */
export type Values = readonly (Buffer | null)[]

/** Creates reads that return `unusable` in place of values where one is larger than `maxBytes`. */
export function createScoutedReads(maxBytes: number, unusable: Buffer): ScoutedReads {
  const size = new LRUCache<string, 'usual' | 'oversized'>({ max: MAX_DIGESTS })
  const scouts = new Map<string, Promise<unknown>>()

  /** Notes the size when the answer arrives, also after the caller's deadline. */
  async function fetchAndNote(digest: string, fetch: () => Promise<Values>): Promise<Values> {
    const found = await fetch()
    const isUsual = found.every((value) => (value?.length ?? 0) <= maxBytes)
    if (isUsual && size.has(digest)) return found
    if (isUsual) size.set(digest, 'usual', { ttl: USUAL_MS })
    else size.set(digest, 'oversized', { ttl: OVERSIZED_MS })
    return isUsual ? found : found.map(() => unusable)
  }

  async function scout(digest: string, fetch: () => Promise<Values>): Promise<Values> {
    const found = fetchAndNote(digest, fetch)
    scouts.set(digest, found)
    try {
      return await found
    } finally {
      scouts.delete(digest)
    }
  }

  return {
    async read(digest, fetch) {
      if (!size.has(digest)) {
        const ahead = scouts.get(digest)
        if (!ahead) return scout(digest, fetch)
        await ahead.catch(() => undefined)
      }
      if (size.get(digest) === 'oversized') return [unusable]
      return fetchAndNote(digest, fetch)
    },
  }
}
