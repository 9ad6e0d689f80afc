import type { SessionCredential } from '../core/session.ts'
import type { Owners, SessionIndex } from '../store/session-index.ts'
import { OutageError, type Store } from '../store/store.ts'
import { digestOf, type SessionCodec } from './codec.ts'
import type { OpenedSessions } from './opened-sessions.ts'
import { createRevocations, type Revocations } from './revocations.ts'

/** `'pending'`: this replica refuses the session from now on, and the others as soon as the store can be told. */
export type Ending = 'done' | 'pending'

export interface SessionEnder {
  readonly revocations: Revocations
  /** Ends whatever the credential's id names, on every replica. Throws while the store cannot be told. */
  end(credential: SessionCredential): Promise<void>
  /** Ends it together with all others that came of the same session at the provider, as on other protected hosts. */
  signOut(credential: SessionCredential): Promise<Ending>
  /** The same, while the store is known to be away: it is told when it is back. */
  deferSignOut(credential: SessionCredential): Ending
  /** Another replica has ended it. */
  hearEnded(digest: string): void
}

export interface SessionEnderOptions {
  readonly store: Store
  readonly index: SessionIndex
  readonly codec: SessionCodec
  readonly opened: OpenedSessions
  readonly maxAgeMs: number
  /** Tells other replicas what the store cannot tell them yet. */
  readonly announceEnded: (digest: string) => void
  readonly onFlushed: (count: number) => void
}

export function createSessionEnder(options: SessionEnderOptions): SessionEnder {
  const { store, index, codec, opened, maxAgeMs } = options
  const revocations = createRevocations({
    maxAgeMs,
    apply: signOutByDigest,
    applyAgain: (digest) => store.end(digest, maxAgeMs),
    onFlushed: options.onFlushed,
  })

  async function findOwners(digest: string): Promise<Owners | undefined> {
    const { m } = await store.read(digest, ['m'])
    return codec.open(digest, 'm', m)?.owners
  }

  function forget(digest: string): void {
    revocations.note(digest)
    opened.evict(digest)
  }

  async function endOne(digest: string, owners: Owners | undefined): Promise<void> {
    // It may be carried out although no answer comes.
    opened.evict(digest)
    await store.end(digest, maxAgeMs)
    forget(digest)
    // An entry that leads nowhere does no harm and ends by itself.
    if (owners) await index.remove(digest, owners).catch(() => undefined)
  }

  /** The others first: whose they are is known by the record of this one, also when it has to be tried again. */
  async function signOutByDigest(digest: string): Promise<void> {
    const owners = await findOwners(digest)
    const providerSession = owners?.providerSession
    const listed =
      providerSession === undefined ? [] : await index.list('providerSession', providerSession)
    for (const other of listed) {
      if (other === digest) continue
      const theirs = await findOwners(other)
      // An index says where to look; whose a session is, its sealed record says.
      if (theirs?.providerSession === providerSession) await endOne(other, theirs)
    }
    await endOne(digest, owners)
  }

  function defer(digest: string): Ending {
    revocations.defer(digest)
    opened.evict(digest)
    options.announceEnded(digest)
    return 'pending'
  }

  return {
    revocations,
    async end(credential) {
      const digest = digestOf(credential)
      await endOne(digest, await findOwners(digest))
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
    hearEnded: forget,
  }
}
