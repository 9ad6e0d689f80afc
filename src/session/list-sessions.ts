import type { EpochMs } from '../core/epoch-ms.ts'
import type { SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Store } from '../store/store.ts'
import { createMetadataReader } from './found-metadata.ts'
import type { SessionCodec, SessionMetadata } from './records.ts'

/** Session as operators see it. */
export interface ListedSession extends SessionMetadata {
  readonly digest: string
  readonly endsAt: EpochMs
}

/** Lists what the metadata tell of up to `limit` sessions of a user (owner id), or of everybody. */
export type ListSessions = (
  user: string | undefined,
  limit: number,
) => Promise<readonly ListedSession[]>

export interface ListSessionsOptions {
  readonly store: Store
  readonly index: SessionsByOwner
  readonly codec: SessionCodec
  readonly maxAgeMs: number
}

export function createListSessions(options: ListSessionsOptions): ListSessions {
  const { store, index, maxAgeMs } = options
  const readMetadata = createMetadataReader(options)

  async function* digestsOf(user: string) {
    yield await index.list('user', user)
  }

  return async (user, limit) => {
    const found: ListedSession[] = []
    const seen = new Set<string>()
    for await (const digests of user === undefined ? store.list() : digestsOf(user)) {
      for (const digest of digests) {
        if (found.length >= limit) return found
        // Skips repeated digests, because a scan may return one twice while the store changes.
        if (seen.has(digest)) continue
        seen.add(digest)
        const read = await readMetadata(digest)
        if (read.kind !== 'known') continue
        const { metadata } = read
        if (user !== undefined && metadata.owners.user !== user) continue
        found.push({ ...metadata, digest, endsAt: metadata.createdAt + maxAgeMs })
      }
    }
    return found
  }
}
