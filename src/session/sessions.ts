import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Identity } from '../core/identity.ts'
import {
  type EpochMs,
  formatSessionCookie,
  type Session,
  type SessionCredential,
} from '../core/session.ts'
import type { SessionIndex } from '../store/session-index.ts'
import type { Store } from '../store/store.ts'
import { digestOf, type SessionCodec, type SessionMetadata, type Tokens } from './codec.ts'
import { createSessionEnder, type SessionEnder } from './end-session.ts'
import { createSessionFinder, type SessionFinder } from './find-session.ts'
import type { OpenedSessions } from './opened-sessions.ts'
import type { OutageAssertions } from './outage-assertion.ts'

/** A sign-in about to become a session. */
export interface NewSession {
  readonly identity: Identity
  readonly tokens: Tokens
  readonly metadata: Omit<SessionMetadata, 'createdAt'>
  readonly realm: string
}

/** Opens, finds and ends sessions. Failures of the store come out as they are: they are never "no session". */
export interface Sessions extends Omit<SessionFinder, 'keep'>, SessionEnder {
  findTokens(credential: SessionCredential, realm: string): Promise<Tokens | undefined>
  /** Makes a session under a new id and returns the cookie's value (threat A65). */
  open(newSession: NewSession): Promise<string>
}

export interface SessionsOptions {
  readonly store: Store
  readonly index: SessionIndex
  readonly codec: SessionCodec
  readonly opened: OpenedSessions
  readonly assertions: OutageAssertions
  /** Whether checks hand out access tokens; they are then read together with the identity. */
  readonly withAccessToken: boolean
  /** Whether those who miss the same session in memory share one read. */
  readonly sharesReads: boolean
  readonly maxAgeMs: number
  /** 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  /** Wall clock, for sealed statements. */
  readonly now: () => EpochMs
  readonly onExtendFailure: (cause: unknown) => void
  /** Tells other replicas of an end that the store cannot tell them yet. */
  readonly announceEnded: (digest: string) => void
  /** Sessions that were ended while the store was away have now been ended in it. */
  readonly onFlushed: (count: number) => void
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, index, codec, opened, maxAgeMs, idleTimeoutMs, now } = options
  const ender = createSessionEnder(options)
  const { revocations } = ender
  const finder = createSessionFinder({ ...options, revocations, onUse: createTouch(options) })
  return {
    ...finder,
    ...ender,

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
      const ticket = opened.fillTicket()
      // Before the session, so that none is ever without.
      await index.add(digest, metadata.owners, maxAgeMs)
      await store.create(digest, records, Math.min(idleTimeoutMs || maxAgeMs, maxAgeMs))
      if (opened.recalls)
        finder.keep({ digest, credential, realm }, records, session, tokens, ticket)
      return formatSessionCookie(credential)
    },
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

function randomToken(): string {
  return randomBytes(32).toString('base64url')
}
