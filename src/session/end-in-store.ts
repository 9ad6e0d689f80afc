import type { SessionCredential } from '../core/session.ts'
import type { Generations, Moment } from '../store/generations.ts'
import type { Owner, Owners, SessionIndex } from '../store/session-index.ts'
import { type EndReason, OutageError, type Store } from '../store/store.ts'
import type { SessionCodec } from './codec.ts'

/**
 * Ends sessions in the store; throws what the store throws. What was asked for earlier ends what had begun by then and
 * nothing that began since: a session's own record says when it began, by Redis's clock (finding C73).
 */
export interface StoreEnder {
  /** False where there was none. */
  end(digest: string): Promise<boolean>
  /** One that has to make room for newer ones of the same user. */
  endReplaced(digest: string, owners: Owners): Promise<void>
  endAllOf(owner: Owner, asked: Moment, user?: string): Promise<number>
  endAll(asked: Moment): Promise<number>
  /** The session and all others that came of the same session at the provider. */
  signOut(digest: string, asked: Moment, when: 'at once' | 'late'): Promise<void>
  /** Whether there is such a session for this holder. */
  isSession(digest: string, credential: SessionCredential, realm: string): Promise<boolean>
}

export interface StoreEnderOptions {
  readonly store: Store
  readonly index: SessionIndex
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly maxAgeMs: number
  /** Called before the store is told, which may carry it out although no answer comes. */
  readonly onEnding: (digest: string) => void
  readonly onEnded: (digest: string) => void
}

/** What the store says of a session without its cookie. */
interface Seen {
  readonly isThere: boolean
  readonly owners: Owners | undefined
  /** 0 where none is written down, which is before all others. */
  readonly generation: number
}

/**
 * The tombstone of a session that made room. It was written long ago, so only writes under way could bring it back, and one
 * for each sign-in of a user must not fill the store (finding C14).
 */
const REPLACED_MS = 5 * 60 * 1000

/** Commands at once where many sessions end: enough to be quick, and room for everybody else. */
const AT_ONCE = 100

export function createStoreEnder(options: StoreEnderOptions): StoreEnder {
  const { store, index, generations, codec, maxAgeMs } = options

  const isBefore = (generation: number, from: number) =>
    generation < from || generations.isAhead(generation)

  async function look(digest: string): Promise<Seen> {
    const { m } = await store.read(digest, ['m'])
    const { owners, generation = 0 } = codec.open(digest, 'm', m) ?? {}
    return { isThere: m !== undefined, owners, generation }
  }

  async function endOne(
    digest: string,
    owners: Partial<Owners> | undefined,
    reason?: EndReason,
  ): Promise<void> {
    options.onEnding(digest)
    const tombstoneMs = reason === 'replaced' ? Math.min(REPLACED_MS, maxAgeMs) : maxAgeMs
    try {
      await store.end(digest, tombstoneMs, reason)
    } catch (error) {
      // It may have been carried out, and then nobody looks for it again (fault F02). What makes room is tried anew.
      if (error instanceof OutageError && reason === undefined) options.onEnded(digest)
      throw error
    }
    options.onEnded(digest)
    // An entry that leads nowhere does no harm and ends by itself.
    if (owners) await index.remove(digest, owners).catch(() => undefined)
  }

  /** An index says where to look; whose a session is, its sealed record says. */
  async function endListed(
    { kind, id }: Owner,
    isMeant: (digest: string, seen: Seen) => boolean | Promise<boolean>,
    isMissingMeant: (digest: string) => Promise<boolean>,
  ): Promise<number> {
    let ended = 0
    for (const digest of await index.list(kind, id)) {
      const seen = await look(digest)
      const { isThere, owners } = seen
      const isEnding = isThere
        ? owners?.[kind] === id && (await isMeant(digest, seen))
        : await isMissingMeant(digest)
      if (!isEnding) continue
      await endOne(digest, owners ?? { [kind]: id })
      if (isThere) ended++
    }
    return ended
  }

  /**
   * Whether anything else is there of a session whose metadata are not. A session that is about to be is refused by its
   * generation, or has begun since.
   */
  async function isRest(digest: string): Promise<boolean> {
    return (await store.read(digest, ['s'])).s !== undefined
  }

  async function endOld(digest: string, from: number): Promise<boolean> {
    const { owners, generation } = await look(digest)
    if (!isBefore(generation, from)) return false
    await endOne(digest, owners)
    return true
  }

  return {
    async end(digest) {
      const { isThere, owners } = await look(digest)
      await endOne(digest, owners)
      return isThere
    },

    endReplaced: (digest, owners) => endOne(digest, owners, 'replaced'),

    async endAllOf(owner, asked, user) {
      const from = await generations.advance(owner.id, maxAgeMs, asked)
      return endListed(
        owner,
        (_, { generation, owners }) =>
          isBefore(generation, from) && (user === undefined || owners?.user === user),
        isRest,
      )
    },

    async endAll(asked) {
      const from = await generations.advance(undefined, maxAgeMs, asked)
      const ended = new Set<string>()
      for await (const digests of store.list()) {
        for (let at = 0; at < digests.length; at += AT_ONCE) {
          const portion = digests.slice(at, at + AT_ONCE)
          const areOld = await Promise.all(portion.map((digest) => endOld(digest, from)))
          for (const digest of portion.filter((_, which) => areOld[which])) ended.add(digest)
        }
      }
      return ended.size
    },

    /**
     * The others first: whose they are is known by the record of this one, also when it has to be tried again. Somebody
     * who has signed in again has another of the same provider's session, where that goes on.
     */
    async signOut(digest, asked, when) {
      const { owners } = await look(digest)
      const id = owners?.providerSession
      if (id !== undefined) {
        const isLate = when === 'late'
        // A sign-in that had begun then may end its way much later, so it has to lose by itself.
        let from = isLate ? generations.advance(id, maxAgeMs, asked) : undefined
        const isOld = async ({ generation }: Seen) => {
          from ??= generations.from(asked)
          return isBefore(generation, await from)
        }
        // Before anything is listed, and also where nothing is.
        await from
        await endListed(
          { kind: 'providerSession', id },
          async (other, seen) => other !== digest && (await isOld(seen)),
          isLate ? isRest : async () => true,
        )
      }
      await endOne(digest, owners)
    },

    async isSession(digest, { secret }, realm) {
      const { s } = await store.read(digest, ['s'])
      return codec.open(digest, 's', s, { secret, realm }) !== undefined
    },
  }
}
