import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Identity, type IdentityOptions, toIdentity } from '../core/identity.ts'
import { type EpochMs, renewalNeed, type Session } from '../core/session.ts'
import type { RefreshOutcome, RefreshTokens } from '../oidc/refresh.ts'
import type { RevocableTokens } from '../oidc/sign-in.ts'
import type { Generations } from '../store/generations.ts'
import type { Locks } from '../store/locks.ts'
import { OutageError, type Replacement, type Store } from '../store/store.ts'
import type { SessionCodec, Tokens } from './codec.ts'
import type { HeldSession, OpenedSessions } from './opened-sessions.ts'
import { ownersOf } from './owners.ts'
import { createRefreshPauses } from './refresh-pauses.ts'
import { keptTokens, renewalOf } from './tokens.ts'

/** What came of a refresh, for metrics and logs. */
export type RefreshResult =
  | 'refreshed'
  /** The session has ended: by `invalid_grant`, by an answer about somebody else, or with all of its user's. */
  | 'refused'
  | 'rejected'
  | 'revoked'
  /** The session goes on with what it has, for now. */
  | 'failed'
  /** Tokens came for a session that somebody else had refreshed or ended meanwhile. */
  | 'late'
  | 'gone'
  /** Tokens came and could not be stored. */
  | 'lost'

/** Refreshes the provider's tokens of sessions, each once over all replicas. */
export interface SessionRefresher {
  /**
   * Tries now, unless somebody does so already or it failed a moment ago. Resolves when this replica is done with it;
   * never rejects. What came of it is in the store.
   */
  refresh(held: HeldSession): Promise<void>
  /** Whether the last try failed and the next has to wait. */
  isPaused(digest: string): boolean
  /** Resolves when nothing is under way: a token that has come and is not stored would be lost with the process. */
  finish(): Promise<void>
}

export interface SessionRefresherOptions {
  readonly store: Store
  readonly locks: Locks
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly opened: OpenedSessions
  readonly identity: IdentityOptions
  readonly refreshTokens: RefreshTokens
  readonly endSession: (digest: string) => Promise<unknown>
  /** Takes tokens back that belong to no session any more. */
  readonly revokeTokens: (tokens: RevocableTokens) => Promise<void>
  /** Whether what comes can be stored: a refresh token that is spent and not stored is lost (fault F36). */
  readonly canStore: () => boolean
  readonly now: () => EpochMs
  readonly onResult: (result: RefreshResult, about: RefreshReport) => void
}

export interface RefreshReport {
  readonly identity: Identity
  readonly reason?: string
}

/** A lock whose owner has died ends after this; while its owner lives it is extended. */
const LOCK_MS = 10_000
const EXTEND_EVERY_MS = 3000
/** Token requests at once from this replica (fault F27). */
const MAX_UNDER_WAY = 100
/** When another replica has the lock, it is not asked for again before this. */
const ELSEWHERE_MS = 1000
/** For how long tokens that could not be stored are tried to be. */
const STORE_FOR_MS = 60_000
const STORE_AGAIN_MS = 500

/** A session as it is in the store. */
interface Stored {
  readonly session: Session
  readonly tokens: Tokens
  readonly sealedTokens: Buffer
}

export function createSessionRefresher(options: SessionRefresherOptions): SessionRefresher {
  const { store, locks, generations, codec, opened, now } = options
  const underWay = new Map<string, Promise<void>>()
  const pauses = createRefreshPauses()

  async function read({ digest, credential, realm }: HeldSession): Promise<Stored | undefined> {
    const { s, t } = await store.read(digest, ['s', 't'])
    const holder = { secret: credential.secret, realm }
    const session = codec.open(digest, 's', s, holder)
    const tokens = codec.open(digest, 't', t, holder)
    return session && tokens && t && { session, tokens, sealedTokens: t }
  }

  async function attempt(held: HeldSession): Promise<void> {
    const { digest } = held
    if (!options.canStore()) return pauses.wait(digest, ELSEWHERE_MS)
    const owner = randomBytes(16).toString('base64url')
    if (!(await locks.acquire(digest, owner, LOCK_MS))) return pauses.wait(digest, ELSEWHERE_MS)
    const extending = setInterval(() => {
      locks.extend(digest, owner, LOCK_MS).catch(() => undefined)
    }, EXTEND_EVERY_MS)
    let keptMs = 0
    try {
      keptMs = await refreshLocked(held, owner)
    } finally {
      clearInterval(extending)
      // Kept by one who failed, so that the others leave the provider alone, too.
      const letGo = keptMs > 0 ? locks.extend(digest, owner, keptMs) : locks.release(digest, owner)
      await letGo.catch(() => undefined)
    }
  }

  /** For how many milliseconds nobody should try again. */
  async function refreshLocked(held: HeldSession, owner: string): Promise<number> {
    const { digest } = held
    const before = await read(held)
    const refreshToken = before?.tokens.refreshToken
    // Somebody was faster, or the session has ended: what is known here is old.
    if (!before) opened.evict(digest)
    if (!before || refreshToken === undefined) return leave(digest)
    const { session, tokens } = before
    const { issuer, subject } = session.identity
    if (renewalNeed(session, now(), 0) === 'none') return leave(digest)
    const owners = ownersOf(session).map(({ id }) => id)
    if ((await generations.oldestOf(...owners)) > (tokens.generation ?? 0)) {
      return end(digest, 'revoked', session)
    }
    const refreshable = { refreshToken, idToken: tokens.idToken, issuer, subject }
    return conclude(held, before, await options.refreshTokens(refreshable), owner)
  }

  async function conclude(
    held: HeldSession,
    before: Stored,
    outcome: RefreshOutcome,
    owner: string,
  ): Promise<number> {
    const { digest } = held
    const { session } = before
    switch (outcome.kind) {
      case 'refreshed':
        return save(held, before, outcome)
      case 'refused':
        return (await isElsewhere(held, before, owner))
          ? leave(digest)
          : end(digest, 'refused', session)
      case 'rejected':
        return end(digest, 'rejected', session, outcome.reason)
      case 'failed':
        options.onResult('failed', { identity: session.identity, reason: outcome.reason })
        return pauses.backOff(digest, outcome.retryAfterMs ?? 0)
    }
  }

  function leave(digest: string): number {
    opened.expire(digest)
    pauses.forget(digest)
    return 0
  }

  async function end(
    digest: string,
    result: RefreshResult,
    { identity }: Session,
    reason?: string,
  ): Promise<number> {
    await options.endSession(digest)
    options.onResult(result, { identity, ...(reason !== undefined && { reason }) })
    return leave(digest)
  }

  /** A refresh token is refused also because somebody else has spent it, or is about to store what it gave (F33). */
  async function isElsewhere(held: HeldSession, before: Stored, owner: string): Promise<boolean> {
    if (!(await locks.extend(held.digest, owner, LOCK_MS))) return true
    const after = await read(held)
    return !after?.sealedTokens.equals(before.sealedTokens)
  }

  async function save(
    held: HeldSession,
    before: Stored,
    { issued, claims }: RefreshOutcome & { kind: 'refreshed' },
  ): Promise<number> {
    const { digest, credential, realm } = held
    const holder = { secret: credential.secret, realm }
    const nowMs = now()
    const tokens = keptTokens(issued, nowMs, before.tokens)
    const { renewal: _, ...kept } = before.session
    const renewal = renewalOf(tokens, nowMs)
    const identity = claims ? toIdentity(claims, options.identity) : before.session.identity
    const session: Session = { ...kept, identity, ...(renewal && { renewal }) }
    const records = {
      s: codec.seal(digest, 's', session, holder),
      t: codec.seal(digest, 't', tokens, holder),
    }
    const stored = await storeAtLast(() => store.replace(digest, records, before.sealedTokens))
    options.onResult(RESULTS[stored], { identity })
    // A late one's tokens are left alone: taking them back may end those of who was faster.
    if (stored === 'gone') {
      opened.evict(digest)
      await options.revokeTokens(issued).catch(() => undefined)
    }
    leave(digest)
    // Tokens that end at once are no reason to ask without a pause.
    pauses.wait(digest, ELSEWHERE_MS)
    return 0
  }

  /** Never resolved by giving up early: the refresh token of before may be spent. */
  async function storeAtLast(write: () => Promise<Replacement>): Promise<Replacement | 'lost'> {
    const untilMs = performance.now() + STORE_FOR_MS
    for (;;) {
      try {
        return await write()
      } catch (error) {
        if (!(error instanceof OutageError) || performance.now() > untilMs) return 'lost'
      }
      await pause(STORE_AGAIN_MS)
    }
  }

  return {
    refresh(held) {
      const { digest } = held
      const running = underWay.get(digest)
      if (running) return running
      if (pauses.isWaiting(digest) || underWay.size >= MAX_UNDER_WAY) return Promise.resolve()
      // What fails on the way to the provider has changed nothing.
      const run = attempt(held)
        .catch(() => pauses.wait(digest, ELSEWHERE_MS))
        .finally(() => underWay.delete(digest))
      underWay.set(digest, run)
      return run
    },
    isPaused: (digest) => pauses.hasFailed(digest),
    async finish() {
      await Promise.all(underWay.values())
    },
  }
}

const RESULTS = { replaced: 'refreshed', changed: 'late', gone: 'gone', lost: 'lost' } as const
