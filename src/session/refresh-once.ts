import { setTimeout as pause } from 'node:timers/promises'
import { type Identity, type IdentityOptions, toIdentity } from '../core/identity.ts'
import { type EpochMs, renewalNeed, type Session } from '../core/session.ts'
import type { RefreshOutcome, RefreshTokens } from '../oidc/refresh.ts'
import type { RevocableTokens } from '../oidc/sign-in.ts'
import type { Generations } from '../store/generations.ts'
import { OutageError, type Replacement, type Store } from '../store/store.ts'
import type { SessionCodec, Tokens } from './codec.ts'
import type { HeldSession, OpenedSessions } from './opened-sessions.ts'
import { ownersOf } from './owners.ts'
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

export interface RefreshReport {
  readonly identity: Identity
  readonly reason?: string
}

export interface RefreshOnceOptions {
  readonly store: Store
  readonly generations: Generations
  readonly codec: SessionCodec
  readonly opened: OpenedSessions
  readonly identity: IdentityOptions
  readonly refreshTokens: RefreshTokens
  readonly endSession: (digest: string) => Promise<unknown>
  /** Takes tokens back that belong to no session any more. */
  readonly revokeTokens: (tokens: RevocableTokens) => Promise<void>
  readonly now: () => EpochMs
  readonly onResult: (result: RefreshResult, about: RefreshReport) => void
}

/** When the session may be tried again. */
export type NextTry =
  | { readonly kind: 'now' }
  | { readonly kind: 'soon' }
  /** After the pause of one that failed, and not before the provider wants to be asked. */
  | { readonly kind: 'after-failure'; readonly retryAfterMs: number }

/** For one who has the lock of the session. `isStillOurs` asks whether somebody else has it by now. */
export type RefreshOnce = (
  held: HeldSession,
  isStillOurs: () => Promise<boolean>,
) => Promise<NextTry>

/** For how long tokens that could not be stored are tried to be. */
const STORE_FOR_MS = 60_000
const STORE_AGAIN_MS = 500

/** A session as it is in the store. */
interface Stored {
  readonly session: Session
  readonly tokens: Tokens
  readonly sealedTokens: Buffer
}

/** Reads what the store has now, asks the provider once, and writes only over what was read. */
export function createRefreshOnce(options: RefreshOnceOptions): RefreshOnce {
  const { store, generations, codec, opened, now } = options

  async function read({ digest, credential, realm }: HeldSession): Promise<Stored | undefined> {
    const { s, t } = await store.read(digest, ['s', 't'])
    const holder = { secret: credential.secret, realm }
    const session = codec.open(digest, 's', s, holder)
    const tokens = codec.open(digest, 't', t, holder)
    return session && tokens && t && { session, tokens, sealedTokens: t }
  }

  async function conclude(
    held: HeldSession,
    before: Stored,
    outcome: RefreshOutcome,
    isStillOurs: () => Promise<boolean>,
  ): Promise<NextTry> {
    const { digest } = held
    const { session } = before
    switch (outcome.kind) {
      case 'refreshed':
        return save(held, before, outcome)
      case 'refused':
        return (await isElsewhere(held, before, isStillOurs))
          ? leave(digest)
          : end(digest, 'refused', session)
      case 'rejected':
        return end(digest, 'rejected', session, outcome.reason)
      case 'failed':
        options.onResult('failed', { identity: session.identity, reason: outcome.reason })
        return { kind: 'after-failure', retryAfterMs: outcome.retryAfterMs ?? 0 }
    }
  }

  function leave(digest: string): NextTry {
    opened.expire(digest)
    return { kind: 'now' }
  }

  async function end(
    digest: string,
    result: RefreshResult,
    { identity }: Session,
    reason?: string,
  ): Promise<NextTry> {
    await options.endSession(digest)
    options.onResult(result, { identity, ...(reason !== undefined && { reason }) })
    return leave(digest)
  }

  /** A refresh token is refused also because somebody else has spent it, or is about to store what it gave (F33). */
  async function isElsewhere(
    held: HeldSession,
    before: Stored,
    isStillOurs: () => Promise<boolean>,
  ): Promise<boolean> {
    if (!(await isStillOurs())) return true
    const after = await read(held)
    return !after?.sealedTokens.equals(before.sealedTokens)
  }

  async function save(
    held: HeldSession,
    before: Stored,
    { issued, claims }: RefreshOutcome & { kind: 'refreshed' },
  ): Promise<NextTry> {
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
    opened.expire(digest)
    // Tokens that end at once are no reason to ask without a pause.
    return { kind: 'soon' }
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

  return async (held, isStillOurs) => {
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
    return conclude(held, before, await options.refreshTokens(refreshable), isStillOurs)
  }
}

const RESULTS = { replaced: 'refreshed', changed: 'late', gone: 'gone', lost: 'lost' } as const
