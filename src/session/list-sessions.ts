import type { EpochMs } from '../core/epoch-ms.ts'
import type { SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Store } from '../store/store.ts'
import { createMetadataReader } from './found-metadata.ts'
import { inPortions } from './in-portions.ts'
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

  async function readListed(digests: readonly string[], user: string | undefined) {
    const read = await inPortions(digests, readMetadata)
    return read.flatMap((each, at): ListedSession[] => {
      if (each.kind !== 'known') return []
      const { metadata } = each
      if (user !== undefined && metadata.owners.user !== user) return []
      const endsAt = metadata.createdAt + maxAgeMs
      return [{ ...metadata, digest: digests[at] as string, endsAt }]
    })
  }

  return async (user, limit) => {
    const found: ListedSession[] = []
    const seen = new Set<string>()
    for await (const digests of user === undefined ? store.list() : digestsOf(user)) {
      // Skips repeated digests, because a scan may return one twice while the store changes.
      const fresh = [...new Set(digests)].filter((digest) => !seen.has(digest))
      for (const digest of fresh) seen.add(digest)
      for (let at = 0; at < fresh.length && found.length < limit; ) {
        const portion = fresh.slice(at, at + limit - found.length)
        at += portion.length
        found.push(...(await readListed(portion, user)))
      }
      if (found.length >= limit) return found
    }
    return found
  }
}
