import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Identity } from '../core/identity.ts'
import {
  type EpochMs,
  formatSessionCookie,
  type Session,
  type SessionCredential,
} from '../core/session.ts'
import { AuthError } from '../errors.ts'
import type { Generations } from '../store/generations.ts'
import type { SessionIndex } from '../store/session-index.ts'
import type { Store } from '../store/store.ts'
import { createSessionEnder, type SessionEnder } from './end-session.ts'
import { createSessionFinder, type SessionFinder } from './find-session.ts'
import { renewalOf } from './kept-tokens.ts'
import type { OutageAssertions } from './outage-assertion.ts'
import { type SessionCodec, type SessionMetadata, sessionDigest, type Tokens } from './records.ts'
import type { SessionCache } from './session-cache.ts'
import { createSessionLimit } from './session-limit.ts'

/** A sign-in about to become a session. */
export interface NewSession {
  readonly identity: Identity
  readonly tokens: Tokens
  readonly metadata: Omit<SessionMetadata, 'createdAt' | 'generation'>
  readonly realm: string
}

/** Opens, finds and ends sessions. Failures of the store come out as they are: they are never "no session". */
export interface Sessions extends Omit<SessionFinder, 'keep'>, SessionEnder {
  findTokens(credential: SessionCredential, realm: string): Promise<Tokens | undefined>
  /** What a sign-in takes down when it begins: what is ended as a whole from then on ends its session, too. */
  currentGeneration(): Promise<number>
  /**
   * Makes a session under a new id and returns the cookie's value (threat A65). Throws `AuthError` `sign_in_failed` where
   * all sessions of the user were ended since the sign-in began.
   */
  open(newSession: NewSession): Promise<string>
  /** What is known of sessions without their cookies: those of a user, or up to `limit` of all. */
  list(user: string | undefined, limit: number): Promise<readonly ListedSession[]>
}

/** A session as operators see it. */
export interface ListedSession extends SessionMetadata {
  readonly digest: string
  readonly endsAt: EpochMs
}

export interface SessionsOptions {
  readonly store: Store
  readonly index: SessionIndex
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly assertions: OutageAssertions
  /** Whether checks hand out access tokens; they are then read together with the identity. */
  readonly withAccessToken: boolean
  /** Whether those who miss the same session in memory share one read. */
  readonly canShareReads: boolean
  readonly maxAgeMs: number
  /** Maximum number of sessions per user. */
  readonly perUser: number
  /** 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  /** Wall clock, for sealed statements. */
  readonly now: () => EpochMs
  readonly onExtendFailure: (cause: unknown) => void
  /** Tells other replicas of an end that the store cannot tell them yet. */
  readonly announceEnded: (digest: string) => void
  /** Called with the number of older sessions of the user that a new one has replaced. */
  readonly onReplaced: (count: number, identity: Identity) => void
  /** Sessions that were ended while the store was away have now been ended in it. */
  readonly onFlushed: (count: number) => void
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, index, generations, codec, sessionCache, maxAgeMs, idleTimeoutMs, now } = options
  const ender = createSessionEnder(options)
  const { revocations } = ender
  const limit = createSessionLimit({
    ...options,
    endReplaced: (digest, owners) => ender.endReplaced(digest, owners),
  })
  const finder = createSessionFinder({ ...options, revocations, onUse: createTouch(options) })
  return {
    ...finder,
    ...ender,

    async findTokens(credential, realm) {
      const digest = sessionDigest(credential)
      const sealed = await store.read(digest, ['tokens'])
      return codec.open(digest, 'tokens', sealed.tokens, { secret: credential.secret, realm })
    },

    async open({ identity, tokens, metadata, realm }) {
      const credential = { id: randomToken(), secret: randomToken() }
      const digest = sessionDigest(credential)
      const holder = { secret: credential.secret, realm }
      const createdAt = now()
      const renewal = renewalOf(tokens, createdAt)
      const { user, providerSession } = metadata.owners
      const begun = tokens.generation === undefined ? {} : { generation: tokens.generation }
      const ownerIds = providerSession === undefined ? [user] : [user, providerSession]
      const session: Session = {
        identity,
        createdAt,
        expiresAt: createdAt + maxAgeMs,
        ...(providerSession !== undefined && { providerSession }),
        ...begun,
        ...(renewal && { renewal }),
      }
      const records = {
        identity: codec.seal(digest, 'identity', session, holder),
        tokens: codec.seal(digest, 'tokens', tokens, holder),
        metadata: codec.seal(digest, 'metadata', { ...metadata, createdAt, ...begun }),
      }
      const ticket = sessionCache.fillTicket()
      // Before the session, so that none is ever without.
      await index.add(digest, metadata.owners, maxAgeMs)
      await store.create(digest, records, Math.min(idleTimeoutMs || maxAgeMs, maxAgeMs))
      // After it is there: whoever ends all sessions of an owner first says so, and then looks for them.
      if ((await generations.oldestOf(...ownerIds)) > (tokens.generation ?? 0)) {
        await ender.end(digest)
        throw new AuthError('sign_in_failed', 'the sessions of the user have been ended meanwhile')
      }
      // Ignores an outage, because this sign-in has its session and the next one enforces the limit.
      const replaced = await limit(user).catch(noneWhileAway)
      if (replaced > 0) options.onReplaced(replaced, identity)
      if (sessionCache.canRecall)
        finder.keep({ digest, credential, realm }, records, session, tokens, ticket)
      return formatSessionCookie(credential)
    },

    currentGeneration: () => generations.current(),

    async list(user, limit) {
      const found: ListedSession[] = []
      const seen = new Set<string>()
      for await (const digests of user === undefined ? store.list() : listed(user)) {
        for (const digest of digests) {
          if (found.length >= limit) return found
          // A list that grows while it is read may name one twice.
          if (seen.has(digest)) continue
          seen.add(digest)
          const sealed = await store.read(digest, ['metadata'])
          const metadata = codec.open(digest, 'metadata', sealed.metadata)
          const isTheirs = user === undefined || metadata?.owners.user === user
          if (!metadata || !isTheirs) continue
          found.push({ ...metadata, digest, endsAt: metadata.createdAt + maxAgeMs })
        }
      }
      return found
    },
  }

  async function* listed(user: string) {
    yield await index.list('user', user)
  }
}

/**
 * Idle sessions: at most one write per session and min(idle/10, 60 s), behind the answer. The write is the only
 * one a check ever makes.
 */
function createTouch({ store, idleTimeoutMs, now, onExtendFailure }: SessionsOptions) {
  if (!idleTimeoutMs) return () => undefined
  const recent = new LRUCache<string, true>({
    max: 100_000,
    ttl: Math.max(1, Math.min(idleTimeoutMs / 10, 60_000)),
  })
  return (digest: string, session: Session): void => {
    if (recent.has(digest)) return
    recent.set(digest, true)
    const ttlMs = Math.min(idleTimeoutMs, session.expiresAt - now())
    store.extend(digest, ttlMs).catch(onExtendFailure)
  }
}

function noneWhileAway(error: unknown): number {
  if (error instanceof AuthError) return 0
  throw error
}

function randomToken(): string {
  return randomBytes(32).toString('base64url')
}
