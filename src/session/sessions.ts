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
import type { KeyRing, SealContext } from '../seal.ts'
import { type RecordPart, recordKey, type Store } from '../store/store.ts'
import type { OpenedSessions } from './opened-sessions.ts'

/** What the provider gave beside the identity. */
export interface Tokens {
  readonly idToken: string
  readonly accessToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresAt?: EpochMs
}

/** What can be known of a session without its cookie. */
export interface SessionMetadata {
  readonly subject: string
  readonly displayName: string
  /** Of the issuer and the provider's own session id, to find the session by at back-channel logout. */
  readonly sidDigest?: string
  readonly createdAt: EpochMs
  readonly address?: string
  readonly userAgent?: string
}

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
  find(credential: SessionCredential, realm: string): Promise<Session | undefined>
  findTokens(credential: SessionCredential, realm: string): Promise<Tokens | undefined>
  /** Makes a session under a new id and returns the cookie's value (threat A65). */
  open(newSession: NewSession): Promise<string>
  /** Ends whatever the credential's id names, on every replica. */
  end(credential: SessionCredential): Promise<void>
}

export interface SessionsOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly opened: OpenedSessions
  readonly keyPrefix: string
  /** Whether checks hand out access tokens; they are then read together with the identity. */
  readonly withAccessToken: boolean
  readonly maxAgeMs: number
  /** 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  /** Wall clock, for sealed statements. */
  readonly now: () => EpochMs
  readonly onIntegrityFailure: (key: string) => void
  readonly onExtendFailure: (cause: unknown) => void
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, ring, opened, maxAgeMs, idleTimeoutMs, now } = options
  const touches = createTouches(options)

  const contextOf = (
    digest: string,
    part: RecordPart,
    realm: string,
    secret?: string,
  ): SealContext => ({
    purpose: 'session',
    name: recordKey(options.keyPrefix, digest, part),
    realm,
    ...(secret !== undefined && { secret }),
  })

  /** A record that does not open is no session; a cookie with a wrong secret looks the same as tampering. */
  function openRecord(sealed: Buffer | undefined, context: SealContext): unknown {
    if (!sealed) return undefined
    const plaintext = ring.open(sealed, context)
    if (plaintext) return JSON.parse(plaintext.toString())
    options.onIntegrityFailure(context.name)
    return undefined
  }

  return {
    recall(credential, realm) {
      const digest = digestOf(credential)
      const session = opened.find(digest, credential, realm)
      if (!session || !isAlive(session, now())) return undefined
      touches.touch(digest, session)
      return session
    },

    async find(credential, realm) {
      const digest = digestOf(credential)
      const ticket = opened.fillTicket()
      const { s, t } = await store.read(digest, options.withAccessToken ? ['s', 't'] : ['s'])
      const identified = openRecord(s, contextOf(digest, 's', realm, credential.secret)) as
        | Session
        | undefined
      if (!identified || !isAlive(identified, now())) return undefined
      const tokens = openRecord(t, contextOf(digest, 't', realm, credential.secret)) as
        | Tokens
        | undefined
      const session = { ...identified, ...(tokens && accessTokenOf(tokens)) }
      opened.keep(digest, credential, realm, session, ticket)
      touches.touch(digest, session)
      return session
    },

    async findTokens(credential, realm) {
      const digest = digestOf(credential)
      const { t } = await store.read(digest, ['t'])
      return openRecord(t, contextOf(digest, 't', realm, credential.secret)) as Tokens | undefined
    },

    async open({ identity, tokens, metadata, realm }) {
      const credential = { id: randomToken(), secret: randomToken() }
      const digest = digestOf(credential)
      const createdAt = now()
      const session: Session = { identity, createdAt, expiresAt: createdAt + maxAgeMs }
      const seal = (part: RecordPart, value: unknown, secret?: string) =>
        ring.seal(Buffer.from(JSON.stringify(value)), contextOf(digest, part, realm, secret))
      const records = {
        s: seal('s', session, credential.secret),
        t: seal('t', tokens, credential.secret),
        m: seal('m', { ...metadata, createdAt }),
      }
      await store.create(
        digest,
        records,
        idleTimeoutMs ? Math.min(idleTimeoutMs, maxAgeMs) : maxAgeMs,
      )
      return formatSessionCookie(credential)
    },

    async end(credential) {
      const digest = digestOf(credential)
      opened.evict(digest)
      await store.end(digest, maxAgeMs)
      opened.evict(digest)
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
