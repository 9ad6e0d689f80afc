import { LRUCache } from 'lru-cache'

/** What a key holds is known to be of a usual size for this long. */
const USUAL_MS = 5000
/** Reading something far too large delays everybody on the connection, so it is not read again for a while. */
const OVERSIZED_MS = 60_000
const MAX_DIGESTS = 10_000

/**
 * Reads records of which the first reader does not know how large they are: while it has no answer, the others about
 * the same session wait, so that many who ask at once do not make a queue of 50 MB answers (threat A91).
 */
export interface ScoutedReads {
  read(digest: string, fetch: () => Promise<Values>): Promise<Values>
}

export type Values = readonly (Buffer | null)[]

/** What is larger than `maxBytes` comes back as `unusable`, one for each value. */
export function createScoutedReads(maxBytes: number, unusable: Buffer): ScoutedReads {
  const size = new LRUCache<string, 'usual' | 'oversized'>({ max: MAX_DIGESTS })
  const scouts = new Map<string, Promise<unknown>>()

  /** Noted where it is learnt, which is also after the caller has given up. */
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
