import { randomBytes } from 'node:crypto'
import type { EndReason } from '../core/end-reason.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { Identity } from '../core/identity.ts'
import {
  formatSessionCookie,
  type Session,
  type SessionCredential,
  type TokenKind,
} from '../core/session.ts'
import { AuthError, OutageError } from '../errors.ts'
import type { Generations } from '../store/generations.ts'
import type { SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Store } from '../store/store.ts'
import { createEndReasonOf, type EndReasonOf } from './end-reason-of.ts'
import { createSessionEnder, type SessionEnder } from './end-session.ts'
import { createExtendIdle } from './extend-idle.ts'
import { createSessionFinder, type SessionFinder } from './find-session.ts'
import { renewalOf } from './kept-tokens.ts'
import { createListSessions, type ListSessions } from './list-sessions.ts'
import type { OutageAssertions } from './outage-assertion.ts'
import { createOwnSessions, type OwnSessions } from './own-sessions.ts'
import { endOfIdToken } from './passed-tokens.ts'
import { type SessionCodec, type SessionMetadata, sessionDigest, type Tokens } from './records.ts'
import type { SessionCache } from './session-cache.ts'
import { createSessionLimit } from './session-limit.ts'

/** Result of a sign-in, from which a session is made. */
export interface NewSession {
  readonly identity: Identity
  readonly tokens: Tokens
  readonly metadata: Omit<SessionMetadata, 'createdAt' | 'generation'>
  readonly realm: string
}

/** Opens, finds and ends sessions. Rejects with the store's errors, because an outage is not "no session". */
export interface Sessions extends Omit<SessionFinder, 'keep'>, SessionEnder {
  findTokens(credential: SessionCredential, realm: string): Promise<Tokens | undefined>
  /** Resolves with the generation that a sign-in records at its begin; a later end of all sessions includes it. */
  currentGeneration(): Promise<number>
  /**
   * Creates a session under a new id and resolves with the cookie's value (threat A65). Throws `AuthError`
   * `sign_in_failed` where all sessions of the user were ended since the sign-in began.
   */
  open(newSession: NewSession): Promise<string>
  readonly list: ListSessions
  readonly own: OwnSessions
  readonly endReasonOf: EndReasonOf
  /** Reads what the store knows of each session; its answer about an idle session is when it ends unless it is used. */
  readonly readLives: Store['readLives']
}

export interface SessionsOptions {
  readonly store: Store
  readonly index: SessionsByOwner
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly sessionCache: SessionCache
  readonly assertions: OutageAssertions
  /** Tokens that checks hand out, which are then read together with the identity. */
  readonly passedTokens: ReadonlySet<TokenKind>
  /** Whether concurrent cache misses of one session share a read of the store. */
  readonly canShareReads: boolean
  readonly maxAgeMs: number
  /** Maximum number of sessions per user. */
  readonly perUser: number
  /** Idle timeout; 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  /** Wall clock. */
  readonly now: () => EpochMs
  readonly onExtendFailure: (cause: unknown) => void
  /** Tells other replicas of an end while the store cannot. */
  readonly announceEnded: (digest: string, reason: EndReason) => void
  /** Called with each session that this replica refuses from now on. */
  readonly onEnded: (digest: string, reason: EndReason) => void
  /** Called when this replica refuses all sessions of an owner, or all, from now on. */
  readonly onAllDeferred: () => void
  /** Called with the number of older sessions of the user that were ended by SESSIONS_PER_USER. */
  readonly onReplaced: (count: number, identity: Identity) => void
  /** Called with the number of deferred ends that the store has been told. */
  readonly onFlushed: (count: number) => void
}

/** Creates the sessions of one installation; finding and ending share one list of known ends. */
export function createSessions(options: SessionsOptions): Sessions {
  const { store, index, generations, codec, sessionCache, maxAgeMs, idleTimeoutMs, now } = options
  const ender = createSessionEnder(options)
  const { revocations } = ender
  const limit = createSessionLimit({
    ...options,
    endReplaced: (digest, owners) => ender.endReplaced(digest, owners),
  })
  const finder = createSessionFinder({ ...options, revocations, onUse: createExtendIdle(options) })

  function endOfPassed(idToken: string): EpochMs | undefined {
    return options.passedTokens.has('id-token') ? endOfIdToken(idToken) : undefined
  }

  function makeSession({ identity, tokens, metadata }: NewSession): Session {
    const createdAt = now()
    const { providerSession } = metadata.owners
    const renewal = renewalOf(tokens, createdAt, endOfPassed(tokens.idToken))
    return {
      identity,
      createdAt,
      expiresAt: createdAt + maxAgeMs,
      ...(providerSession !== undefined && { providerSession }),
      ...begunIn(tokens),
      ...(renewal && { renewal }),
    }
  }

  function seal(newSession: NewSession, session: Session, { id, secret }: SessionCredential) {
    const { tokens, metadata, realm } = newSession
    const { createdAt } = session
    const digest = sessionDigest({ id, secret })
    const key = { secret, realm }
    return {
      identity: codec.seal(digest, 'identity', session, key),
      tokens: codec.seal(digest, 'tokens', tokens, key),
      metadata: codec.seal(digest, 'metadata', { ...metadata, createdAt, ...begunIn(tokens) }),
    }
  }

  return {
    ...finder,
    ...ender,

    async findTokens(credential, realm) {
      const digest = sessionDigest(credential)
      const sealed = await store.read(digest, ['tokens'])
      return codec.open(digest, 'tokens', sealed.tokens, { secret: credential.secret, realm })
    },

    async open(newSession) {
      const { identity, tokens, metadata, realm } = newSession
      const { owners } = metadata
      const { user, providerSession } = owners
      const credential = { id: randomToken(), secret: randomToken() }
      const digest = sessionDigest(credential)
      const session = makeSession(newSession)
      const records = seal(newSession, session, credential)
      const ticket = sessionCache.fillTicket()
      // Adds the index entry first, so that no session is without one.
      await index.add(digest, owners, maxAgeMs)
      const ttlMs = Math.min(idleTimeoutMs || maxAgeMs, maxAgeMs)
      await store.create(digest, records, ttlMs).catch(async (error: unknown) => {
        // Takes the entry back where nothing was written for certain, because refused sign-ins would fill the index.
        if (!(error instanceof OutageError))
          await index.remove(digest, owners).catch(() => undefined)
        throw error
      })
      // Reads the generations after the write, because an end of all sessions advances them before it lists.
      const ownerIds = providerSession === undefined ? [user] : [user, providerSession]
      if ((await generations.oldestOf(...ownerIds)) > (tokens.generation ?? 0)) {
        await ender.end(digest, 'operator')
        throw new AuthError('sign_in_failed', 'all sessions of the user were ended during sign-in')
      }
      // Ignores an outage, because this sign-in has its session and the next one enforces the limit.
      const replaced = await limit(user).catch(noneWhileAway)
      if (replaced > 0) options.onReplaced(replaced, identity)
      if (sessionCache.canRecall)
        finder.keep({ digest, credential, realm }, { records, session, tokens }, ticket)
      return formatSessionCookie(credential)
    },

    currentGeneration: () => generations.current(),

    list: createListSessions(options),
    own: createOwnSessions({ ...options, ender }),
    endReasonOf: createEndReasonOf({ store, revocations }),
    readLives: (digests) => store.readLives(digests),
  }
}

function begunIn({ generation }: Tokens) {
  return generation === undefined ? {} : { generation }
}

function noneWhileAway(error: unknown): number {
  if (error instanceof AuthError) return 0
  throw error
}

function randomToken(): string {
  return randomBytes(32).toString('base64url')
}
