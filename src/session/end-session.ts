import type { SessionCredential } from '../core/session.ts'
import type { Generations } from '../store/generations.ts'
import type { Owner, Owners, SessionIndex } from '../store/session-index.ts'
import { type EndReason, OutageError, type Store } from '../store/store.ts'
import { digestOf, type SessionCodec } from './codec.ts'
import type { OpenedSessions } from './opened-sessions.ts'
import { createRevocations, type Revocations } from './revocations.ts'

/** `'pending'`: this replica refuses the session from now on, and the others as soon as the store can be told. */
export type Ending = 'done' | 'pending'

export interface SessionEnder {
  readonly revocations: Revocations
  /** Ends the session whose digest it is, on every replica; false where there was none. Throws while the store cannot be told. */
  end(digest: string): Promise<boolean>
  /**
   * Ends all sessions of an owner, or those of them that are this user's, and says how many; a sign-in of theirs that has
   * begun loses. Throws like `end`.
   */
  endAllOf(owner: Owner, user?: string): Promise<number>
  /** Ends all sessions of everybody, likewise. */
  endAll(): Promise<number>
  /** Ends it together with all others that came of the same session at the provider, as on other protected hosts. */
  signOut(credential: SessionCredential): Promise<Ending>
  /** The same, while the store is known to be away: it is told when it is back. */
  deferSignOut(credential: SessionCredential): Ending
  /** The same where nobody can say whether there is such a session: what is none when the store is back is forgotten. */
  deferUnverifiedSignOut(credential: SessionCredential, realm: string, address: string): Ending
  /** Ends one that has to make room for newer ones of the same user; throws like `end`. */
  endReplaced(digest: string, owners: Owners): Promise<void>
  /** Another replica has ended it. */
  hearEnded(digest: string): void
}

export interface SessionEnderOptions {
  readonly store: Store
  readonly index: SessionIndex
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly opened: OpenedSessions
  readonly maxAgeMs: number
  /** Tells other replicas what the store cannot tell them yet. */
  readonly announceEnded: (digest: string) => void
  readonly onFlushed: (count: number) => void
}

/**
 * The tombstone of a session that made room. It was written long ago, so only writes under way could bring it back, and one
 * for each sign-in of a user must not fill the store (finding C14).
 */
const REPLACED_MS = 5 * 60 * 1000

/** Commands at once where many sessions end: enough to be quick, and room for everybody else. */
const AT_ONCE = 100

export function createSessionEnder(options: SessionEnderOptions): SessionEnder {
  const { store, index, generations, codec, opened, maxAgeMs } = options
  const revocations = createRevocations({
    maxAgeMs,
    apply: signOutByDigest,
    applyToAllOf: (owner) => endAllOf(owner),
    applyAgain: (digest) => store.end(digest, maxAgeMs),
    onFlushed: options.onFlushed,
  })

  async function look(digest: string): Promise<{ isThere: boolean; owners: Owners | undefined }> {
    const { m } = await store.read(digest, ['m'])
    return { isThere: m !== undefined, owners: codec.open(digest, 'm', m)?.owners }
  }

  function forget(digest: string): void {
    revocations.note(digest)
    opened.evict(digest)
  }

  async function endOne(
    digest: string,
    owners: Partial<Owners> | undefined,
    reason?: EndReason,
  ): Promise<void> {
    // It may be carried out although no answer comes.
    opened.evict(digest)
    const tombstoneMs = reason === 'replaced' ? Math.min(REPLACED_MS, maxAgeMs) : maxAgeMs
    await store.end(digest, tombstoneMs, reason)
    forget(digest)
    // An entry that leads nowhere does no harm and ends by itself.
    if (owners) await index.remove(digest, owners).catch(() => undefined)
  }

  async function end(digest: string): Promise<boolean> {
    const { isThere, owners } = await look(digest)
    await endOne(digest, owners)
    return isThere
  }

  /** An index says where to look; whose a session is, its sealed record says. */
  async function endListed(
    { kind, id }: Owner,
    isMeant: (digest: string, owners: Owners) => boolean,
  ): Promise<number> {
    let ended = 0
    for (const digest of await index.list(kind, id)) {
      const { isThere, owners } = await look(digest)
      const isTheirs = owners?.[kind] === id && isMeant(digest, owners)
      // What is not there may be about to be.
      if (isThere && !isTheirs) continue
      await endOne(digest, owners ?? { [kind]: id })
      if (isThere) ended++
    }
    return ended
  }

  async function endAllOf(owner: Owner, user?: string): Promise<number> {
    await generations.advance(owner.id, maxAgeMs)
    return endListed(owner, (_, owners) => user === undefined || owners.user === user)
  }

  /** The others first: whose they are is known by the record of this one, also when it has to be tried again. */
  async function signOutByDigest(digest: string): Promise<void> {
    const { owners } = await look(digest)
    const id = owners?.providerSession
    if (id !== undefined) {
      await endListed({ kind: 'providerSession', id }, (other) => other !== digest)
    }
    await endOne(digest, owners)
  }

  async function isSession(digest: string, { secret }: SessionCredential, realm: string) {
    const { s } = await store.read(digest, ['s'])
    return codec.open(digest, 's', s, { secret, realm }) !== undefined
  }

  function defer(digest: string): Ending {
    revocations.defer(digest)
    opened.evict(digest)
    options.announceEnded(digest)
    return 'pending'
  }

  return {
    revocations,
    end,
    endAllOf,
    async endAll() {
      await generations.advance(undefined, maxAgeMs)
      const ended = new Set<string>()
      for await (const digests of store.list()) {
        for (let at = 0; at < digests.length; at += AT_ONCE) {
          const portion = digests.slice(at, at + AT_ONCE)
          await Promise.all(portion.map(end))
          for (const digest of portion) ended.add(digest)
        }
      }
      return ended.size
    },
    async signOut(credential) {
      const digest = digestOf(credential)
      // Before anything can fail: from now on this replica lets nobody in with it.
      opened.evict(digest)
      try {
        await signOutByDigest(digest)
        return 'done'
      } catch (error) {
        if (!(error instanceof OutageError)) throw error
        return defer(digest)
      }
    },
    deferSignOut: (credential) => defer(digestOf(credential)),
    deferUnverifiedSignOut(credential, realm, address) {
      const digest = digestOf(credential)
      const apply = async () => {
        if (await isSession(digest, credential, realm)) await signOutByDigest(digest)
      }
      revocations.deferUnverified(digest, apply, address)
      opened.evict(digest)
      // Other replicas would keep it among what is known to have ended, and strangers can make it up.
      return 'pending'
    },
    endReplaced: (digest, owners) => endOne(digest, owners, 'replaced'),
    hearEnded: forget,
  }
}
