import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Identity } from '../core/identity.ts'
import {
  type EpochMs,
  formatSessionCookie,
  isAlive,
  type Session,
  type SessionCredential,
} from '../core/session.ts'
import type { Owners, SessionIndex } from '../store/session-index.ts'
import type { SealedRecords, Store } from '../store/store.ts'
import type { Holder, SessionCodec, SessionMetadata, Tokens } from './codec.ts'
import type { OpenedSessions } from './opened-sessions.ts'

/** A sign-in about to become a session. */
export interface NewSession {
  readonly identity: Identity
  readonly tokens: Tokens
  readonly metadata: Omit<SessionMetadata, 'createdAt'>
  readonly realm: string
}

/** Opens, finds and ends sessions. Failures of the store come out as they are: they are never "no session". */
export interface Sessions {
  /** From memory, without any I/O; nothing does not mean that there is no such session. */
  recall(credential: SessionCredential, realm: string): Session | undefined
  /** `timeoutMs` is for callers that cannot wait as long as the store would. */
  find(
    credential: SessionCredential,
    realm: string,
    timeoutMs?: number,
  ): Promise<Session | undefined>
  findTokens(credential: SessionCredential, realm: string): Promise<Tokens | undefined>
  /** Makes a session under a new id and returns the cookie's value (threat A65). */
  open(newSession: NewSession): Promise<string>
  /** Ends whatever the credential's id names, on every replica. */
  end(credential: SessionCredential): Promise<void>
  /** Ends it together with all others that came of the same session at the provider, as on other protected hosts. */
  signOut(credential: SessionCredential): Promise<void>
}

export interface SessionsOptions {
  readonly store: Store
  readonly index: SessionIndex
  readonly codec: SessionCodec
  readonly opened: OpenedSessions
  /** Whether checks hand out access tokens; they are then read together with the identity. */
  readonly withAccessToken: boolean
  readonly maxAgeMs: number
  /** 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  /** Wall clock, for sealed statements. */
  readonly now: () => EpochMs
  readonly onExtendFailure: (cause: unknown) => void
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, index, codec, opened, maxAgeMs, idleTimeoutMs, now } = options
  const touches = createTouches(options)
  const parts = options.withAccessToken ? (['s', 't'] as const) : (['s'] as const)

  function openAll(digest: string, { s, t }: SealedRecords, holder: Holder): Session | undefined {
    const session = codec.open(digest, 's', s, holder)
    if (!session || !options.withAccessToken) return session
    const tokens = codec.open(digest, 't', t, holder)
    return tokens && { ...session, ...accessTokenOf(tokens) }
  }

  async function findOwners(digest: string): Promise<Owners | undefined> {
    const { m } = await store.read(digest, ['m'])
    return codec.open(digest, 'm', m)?.owners
  }

  async function endOne(digest: string, owners: Owners | undefined): Promise<void> {
    opened.evict(digest)
    await store.end(digest, maxAgeMs)
    opened.evict(digest)
    // An entry that leads nowhere does no harm and ends by itself.
    if (owners) await index.remove(digest, owners).catch(() => undefined)
  }

  return {
    recall(credential, realm) {
      const digest = digestOf(credential)
      const session = opened.recall(digest, credential, realm)
      if (!session || !isAlive(session, now())) return undefined
      touches.touch(digest, session)
      return session
    },

    async find(credential, realm, timeoutMs) {
      const digest = digestOf(credential)
      const holder = { secret: credential.secret, realm }
      const ticket = opened.fillTicket()
      const records = await store.read(digest, parts, timeoutMs)
      const known = opened.reopen(digest, credential, realm, records)
      const session = known ?? openAll(digest, records, holder)
      if (!session || !isAlive(session, now())) return undefined
      if (!known) opened.keep(digest, credential, { session, realm, records }, ticket)
      touches.touch(digest, session)
      return session
    },

    async findTokens(credential, realm) {
      const digest = digestOf(credential)
      const { t } = await store.read(digest, ['t'])
      return codec.open(digest, 't', t, { secret: credential.secret, realm })
    },

    async open({ identity, tokens, metadata, realm }) {
      const credential = { id: randomToken(), secret: randomToken() }
      const digest = digestOf(credential)
      const holder = { secret: credential.secret, realm }
      const createdAt = now()
      const session: Session = { identity, createdAt, expiresAt: createdAt + maxAgeMs }
      const records = {
        s: codec.seal(digest, 's', session, holder),
        t: codec.seal(digest, 't', tokens, holder),
        m: codec.seal(digest, 'm', { ...metadata, createdAt }),
      }
      // Before the session, so that none is ever without.
      await index.add(digest, metadata.owners, maxAgeMs)
      await store.create(digest, records, Math.min(idleTimeoutMs || maxAgeMs, maxAgeMs))
      return formatSessionCookie(credential)
    },

    async end(credential) {
      const digest = digestOf(credential)
      await endOne(digest, await findOwners(digest))
    },

    async signOut(credential) {
      const digest = digestOf(credential)
      const owners = await findOwners(digest)
      await endOne(digest, owners)
      if (owners?.providerSession === undefined) return
      for (const other of await index.list('providerSession', owners.providerSession)) {
        const theirs = await findOwners(other)
        // An index says where to look; whose a session is, its sealed record says.
        if (theirs?.providerSession === owners.providerSession) await endOne(other, theirs)
      }
    },
  }
}

/**
 * Idle sessions: at most one write per session and min(idle/10, 60 s), behind the answer. The write is the only
 * one a check ever makes.
 */
function createTouches({ store, idleTimeoutMs, now, onExtendFailure }: SessionsOptions) {
  const recent = new LRUCache<string, true>({
    max: 100_000,
    ttl: Math.max(1, Math.min(idleTimeoutMs / 10, 60_000)),
  })
  return {
    touch(digest: string, session: Session) {
      if (!idleTimeoutMs || recent.has(digest)) return
      recent.set(digest, true)
      const ttlMs = Math.min(idleTimeoutMs, session.expiresAt - now())
      store.extend(digest, ttlMs).catch(onExtendFailure)
    },
  }
}

function accessTokenOf({
  accessToken,
  accessTokenExpiresAt,
}: Tokens): Pick<Session, 'accessToken'> {
  const expiry = accessTokenExpiresAt === undefined ? {} : { expiresAt: accessTokenExpiresAt }
  return { accessToken: { value: accessToken, ...expiry } }
}

/** The store never sees a session id, only its digest. */
function digestOf({ id }: SessionCredential): string {
  return hash('sha256', id, 'base64url')
}

function randomToken(): string {
  return randomBytes(32).toString('base64url')
}
