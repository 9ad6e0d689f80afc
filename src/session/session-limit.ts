import type { Generations } from '../store/generations.ts'
import type { Owners, SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Store } from '../store/store.ts'
import { createMetadataReader } from './found-metadata.ts'
import { inPortions } from './in-portions.ts'
import type { SessionCodec, SessionMetadata } from './records.ts'

/**
 * Ends a user's oldest sessions above the limit and resolves with their number (finding C14). Runs after the new
 * session is written, so that concurrent sign-ins on any replica end the same sessions.
 */
export type LimitSessions = (user: string) => Promise<number>

export interface SessionLimitOptions {
  readonly store: Store
  readonly index: SessionsByOwner
  readonly generations: Pick<Generations, 'isAhead'>
  readonly codec: SessionCodec
  readonly perUser: number
  readonly maxAgeMs: number
  readonly endReplaced: (digest: string, owners: Owners) => Promise<void>
}

/** Bounds the entries that one sign-in examines beyond the limit; dangling ones are removed over several sign-ins. */
const MAX_SURPLUS = 1000
/** Age below which an index entry may precede its session, which is written after it. */
const UNDER_WAY_MS = 60_000

type Listed =
  /** Listed without a record, which the session may still get. */
  | { readonly kind: 'lost'; readonly digest: string }
  /** Session of another user, because the index does not decide whose it is. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'theirs'; readonly digest: string; readonly metadata: SessionMetadata }

export function createSessionLimit(options: SessionLimitOptions): LimitSessions {
  const { index, generations, perUser, maxAgeMs, endReplaced } = options
  const readMetadata = createMetadataReader(options)

  async function readListed(digest: string, user: string): Promise<Listed> {
    const found = await readMetadata(digest)
    switch (found.kind) {
      case 'missing':
        return { kind: 'lost', digest }
      case 'unreadable':
        return { kind: 'foreign' }
      case 'known': {
        const { metadata } = found
        return metadata.owners.user === user
          ? { kind: 'theirs', digest, metadata }
          : { kind: 'foreign' }
      }
    }
  }

  /** Returns the generation for ordering; one ahead of Redis's clock precedes all, because that clock went back. */
  function generationOf({ generation = 0 }: SessionMetadata): number {
    return generations.isAhead(generation) ? 0 : generation
  }

  return async (user) => {
    const digests = await index.list('user', user)
    if (digests.length <= perUser) return 0
    const listed = await inPortions(digests.slice(0, perUser + MAX_SURPLUS), (digest) =>
      readListed(digest, user),
    )
    const lost = listed.flatMap((each) => (each.kind === 'lost' ? [each.digest] : []))
    if (lost.length > 0) {
      await index.removeLost({ kind: 'user', id: user }, lost, maxAgeMs - UNDER_WAY_MS)
    }
    const theirs = listed
      .flatMap((each) =>
        each.kind === 'theirs' ? [{ digest: each.digest, ...each.metadata }] : [],
      )
      .map((each) => ({ ...each, generation: generationOf(each) }))
      // Falls back to the replicas' clocks within a generation, which all sessions of a memory store share.
      .toSorted(
        (a, b) =>
          a.generation - b.generation ||
          a.createdAt - b.createdAt ||
          (a.digest < b.digest ? -1 : 1),
      )
    const surplus = theirs.slice(0, Math.max(0, theirs.length - perUser))
    await inPortions(surplus, (each) => endReplaced(each.digest, each.owners))
    return surplus.length
  }
}
