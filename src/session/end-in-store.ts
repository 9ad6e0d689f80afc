import type { EndReason } from '../core/end-reason.ts'
import type { SessionCredential } from '../core/session.ts'
import { OutageError } from '../errors.ts'
import type { Generations, Moment } from '../store/generations.ts'
import type { Owner, Owners, SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Store } from '../store/store.ts'
import { createEndOthers, type EndOthers } from './end-others.ts'
import { createMetadataReader, type FoundMetadata } from './found-metadata.ts'
import { inPortions } from './in-portions.ts'
import type { SessionCodec, SessionMetadata } from './records.ts'

/**
 * Ends sessions in the store and rejects with the store's errors. A late order ends only sessions that had begun when
 * it was given, by the generation in each session's record (finding C73).
 */
export interface StoreEnder {
  /** Resolves with false where there was none. */
  end(digest: string, reason: EndReason): Promise<boolean>
  /** Ends a session in favour of newer ones of the same user. */
  endReplaced(digest: string, owners: Owners): Promise<void>
  /** Ends an owner's sessions, or with `user` only those of this user. */
  endAllOf(owner: Owner, order: Order, user?: string): Promise<number>
  endAll(order: Order): Promise<number>
  readonly endOthersOf: EndOthers
  /** Ends the session and all others of the same provider session. */
  endTogether(digest: string, asked: Moment, when: 'at once' | 'late'): Promise<void>
  /** Resolves with whether the session exists and this credential opens it. */
  isSession(digest: string, credential: SessionCredential, realm: string): Promise<boolean>
}

/** Order to end sessions that had begun at `asked`. */
export interface Order {
  readonly asked: Moment
  readonly reason: EndReason
}

export interface StoreEnderOptions {
  readonly store: Store
  readonly index: SessionsByOwner
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly maxAgeMs: number
  /** Called before the store's command, which Redis may carry out although its answer is lost. */
  readonly onEnding: (digest: string) => void
  readonly onEnded: (digest: string, reason: EndReason) => void
}

/**
 * Lifetime of the tombstone of a session above the limit. Short, because only writes in flight could revive the session
 * and each sign-in may leave a tombstone (finding C14).
 */
const SURPLUS_MS = 5 * 60 * 1000

/** Creates an ender that does not know the cache: callers are told by `onEnding` and `onEnded`. */
export function createStoreEnder(options: StoreEnderOptions): StoreEnder {
  const { store, index, generations, maxAgeMs } = options

  const readMetadata = createMetadataReader(options)

  /** Takes a sign-in without a recorded generation as one before all others. */
  const isBefore = ({ generation = 0 }: Pick<SessionMetadata, 'generation'>, from: number) =>
    generation < from || generations.isAhead(generation)

  async function endOne(
    digest: string,
    owners: Partial<Owners> | undefined,
    reason: EndReason,
    isSurplus = false,
  ): Promise<void> {
    options.onEnding(digest)
    const tombstoneMs = isSurplus ? Math.min(SURPLUS_MS, maxAgeMs) : maxAgeMs
    try {
      await store.end(digest, tombstoneMs, reason)
    } catch (error) {
      // Treats a lost answer as an end, because Redis may have applied it (fault F02); a surplus session is tried again.
      if (error instanceof OutageError && !isSurplus) options.onEnded(digest, reason)
      throw error
    }
    options.onEnded(digest, reason)
    // Ignores a failure, because a dangling index entry is harmless and expires.
    if (owners) await index.remove(digest, owners).catch(() => undefined)
  }

  /** Ends the listed sessions of an owner; the sealed record, not the index, decides whose a session is. */
  async function endListed(
    { kind, id }: Owner,
    reason: EndReason,
    isMeant: (digest: string, metadata: SessionMetadata) => boolean | Promise<boolean>,
    canBeMissing: boolean,
  ): Promise<number> {
    async function isEnding(digest: string, found: FoundMetadata): Promise<boolean> {
      switch (found.kind) {
        case 'known':
          return found.metadata.owners[kind] === id && isMeant(digest, found.metadata)
        case 'unreadable':
          return false
        case 'missing':
          return canBeMissing || hasIdentity(store, digest)
      }
    }
    async function endIfMeant(digest: string): Promise<boolean> {
      const found = await readMetadata(digest)
      if (!(await isEnding(digest, found))) return false
      await endOne(digest, ownersOf(found) ?? { [kind]: id }, reason)
      return found.kind !== 'missing'
    }
    const areEnded = await inPortions(await index.list(kind, id), endIfMeant)
    return areEnded.filter(Boolean).length
  }

  async function endOld(digest: string, from: number, reason: EndReason): Promise<boolean> {
    const found = await readMetadata(digest)
    if (!isBefore(found.kind === 'known' ? found.metadata : {}, from)) return false
    await endOne(digest, ownersOf(found), reason)
    return true
  }

  return {
    async end(digest, reason) {
      const found = await readMetadata(digest)
      await endOne(digest, ownersOf(found), reason)
      return found.kind !== 'missing'
    },

    endReplaced: (digest, owners) => endOne(digest, owners, 'replaced', true),

    async endAllOf(owner, { asked, reason }, user) {
      const from = await generations.advance(owner.id, maxAgeMs, asked)
      return endListed(
        owner,
        reason,
        (_, metadata) => isOf(metadata, user) && isBefore(metadata, from),
        false,
      )
    },

    async endAll({ asked, reason }) {
      const from = await generations.advance(undefined, maxAgeMs, asked)
      const ended = new Set<string>()
      for await (const digests of store.list()) {
        const areOld = await inPortions(digests, (digest) => endOld(digest, from, reason))
        for (const digest of digests.filter((_, which) => areOld[which])) ended.add(digest)
      }
      return ended.size
    },

    endOthersOf: createEndOthers({ index, generations, readMetadata, isBefore, endOne }),

    /**
     * Ends the other sessions first, because a retry needs this one's record to find them. Spares sessions begun since,
     * by a user who signed in again with the same provider session.
     */
    async endTogether(digest, asked, when) {
      const owners = ownersOf(await readMetadata(digest))
      const id = owners?.providerSession
      if (id !== undefined) {
        const isLate = when === 'late'
        // A sign-in begun by then may finish much later, so advancing the generation makes it fail.
        let from = isLate ? generations.advance(id, maxAgeMs, asked) : undefined
        const isOld = async (metadata: SessionMetadata) => {
          from ??= generations.from(asked)
          return isBefore(metadata, await from)
        }
        // Advances before listing, also where nothing is listed.
        await from
        await endListed(
          { kind: 'providerSession', id },
          'signed-out',
          async (other, metadata) => other !== digest && (await isOld(metadata)),
          !isLate,
        )
      }
      await endOne(digest, owners, 'signed-out')
    },

    isSession: (digest, { secret }, realm) => isOpenedBy(options, digest, { secret, realm }),
  }
}

/**
 * Resolves with whether a session without metadata still has a record. A session that is being written needs no end,
 * because its sign-in fails by its generation or began later.
 */
async function hasIdentity(store: Store, digest: string): Promise<boolean> {
  return (await store.read(digest, ['identity'])).identity !== undefined
}

async function isOpenedBy(
  { store, codec }: Pick<StoreEnderOptions, 'store' | 'codec'>,
  digest: string,
  key: { readonly secret: string; readonly realm: string },
): Promise<boolean> {
  const { identity } = await store.read(digest, ['identity'])
  return codec.open(digest, 'identity', identity, key) !== undefined
}

function ownersOf(found: FoundMetadata): Owners | undefined {
  return found.kind === 'known' ? found.metadata.owners : undefined
}

/** Returns whether a session is of this user, or the user does not matter. */
function isOf({ owners }: SessionMetadata, user: string | undefined): boolean {
  return user === undefined || owners.user === user
}
