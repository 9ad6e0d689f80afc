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
export interface ScoutedReads<Q, T> {
  /** Resolves with the answer of `fetch`, or with `unusable` where the session's records are known to be oversized. */
  read(question: Q): Promise<T>
  /** Notes that records are oversized, also where their answer came after its caller's deadline. */
  noteOversized(digest: string): void
}

export interface ScoutedReadsOptions<Q, T> {
  readonly fetch: (question: Q) => Promise<T>
  readonly unusable: (question: Q) => T
}

/** Creates reads that differ in their questions only, so that a read makes no function of its own. */
export function createScoutedReads<Q extends { readonly digest: string }, T>({
  fetch,
  unusable,
}: ScoutedReadsOptions<Q, T>): ScoutedReads<Q, T> {
  const size = new LRUCache<string, 'usual' | 'oversized'>({ max: MAX_DIGESTS })
  const scouts = new Map<string, Promise<unknown>>()

  async function scout(question: Q): Promise<T> {
    const { digest } = question
    const found = fetch(question)
    scouts.set(digest, found)
    try {
      const value = await found
      if (!size.has(digest)) size.set(digest, 'usual', { ttl: USUAL_MS })
      return value
    } finally {
      scouts.delete(digest)
    }
  }

  async function readUnknown(question: Q): Promise<T> {
    const ahead = scouts.get(question.digest)
    if (!ahead) return scout(question)
    await ahead.catch(() => undefined)
    return size.get(question.digest) === 'oversized' ? unusable(question) : fetch(question)
  }

  return {
    read(question) {
      switch (size.get(question.digest)) {
        case 'usual':
          return fetch(question)
        case 'oversized':
          return Promise.resolve(unusable(question))
        case undefined:
          return readUnknown(question)
      }
    },
    noteOversized: (digest) => void size.set(digest, 'oversized', { ttl: OVERSIZED_MS }),
  }
}
