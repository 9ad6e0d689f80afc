import { setTimeout as pause } from 'node:timers/promises'
import { toIdentity } from '../core/identity.ts'
import type { Session } from '../core/session.ts'
import type { RefreshOutcome } from '../oidc/refresh.ts'
import { SETTLE_MS } from '../store/settling.ts'
import { OutageError, type Replacement } from '../store/store.ts'
import type { Tokens } from './codec.ts'
import type { HeldSession } from './opened-sessions.ts'
import type { RefreshLock } from './refresh-locks.ts'
import type { NextTry, RefreshOnceOptions, RefreshResult } from './refresh-once.ts'
import { keptTokens, renewalOf } from './tokens.ts'

/** A session as it is in the store. */
export interface Stored {
  readonly session: Session
  readonly tokens: Tokens
  readonly sealedTokens: Buffer
}

/** A refresh of which the provider has answered. */
export interface AnsweredRefresh {
  readonly held: HeldSession
  readonly lock: RefreshLock
  /** As it was before the provider was asked. */
  readonly before: Stored
}

export interface RefreshOutcomes {
  conclude(refresh: AnsweredRefresh, outcome: RefreshOutcome): Promise<NextTry>
  end(digest: string, result: RefreshResult, session: Session, reason?: string): Promise<NextTry>
  /** What is known here is not served any more. */
  leave(digest: string): NextTry
}

export interface RefreshOutcomesOptions extends RefreshOnceOptions {
  readonly read: (held: HeldSession) => Promise<Stored | undefined>
}

/** How soon what the store could not be told or asked is tried again: it is first in line when the store is back. */
const AGAIN_MS = 500

/** Ends, keeps or renews the session as the provider has answered, whatever happens to the store meanwhile. */
export function createRefreshOutcomes(options: RefreshOutcomesOptions): RefreshOutcomes {
  const { settling, codec, opened, ending, now } = options
  const untilAgain = () => pause(AGAIN_MS, undefined, { signal: ending }).catch(() => undefined)

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

  /**
   * A refresh token is refused also because somebody else has spent it, or is about to store what it gave (F33, C65): after
   * an outage, or where the lock was taken from somebody, they have their turn first.
   */
  async function isElsewhere(refresh: AnsweredRefresh): Promise<boolean> {
    const { createdAt } = refresh.before.session
    const turnEndsMs = performance.now() + (refresh.lock.isTakenOver ? SETTLE_MS : 0)
    while (!ending.aborted) {
      const hadTheirTurn = performance.now() >= turnEndsMs && settling.isSettledFor(createdAt)
      const isSame = await isUnchanged(refresh).catch(unlessOutage)
      if (isSame === false) return true
      if (isSame && hadTheirTurn) return false
      await untilAgain()
    }
    return true
  }

  async function isUnchanged({ held, lock, before }: AnsweredRefresh): Promise<boolean> {
    if (!(await lock.isStillOurs())) return false
    const after = await options.read(held)
    return after?.sealedTokens.equals(before.sealedTokens) === true
  }

  async function save(
    { held, before }: AnsweredRefresh,
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
    const stored = await storeAtLast(() =>
      options.renewedRecords.write(digest, records, before.sealedTokens),
    )
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

  /** However long the store is away: the refresh token of before may be spent. Only the end of the process loses them. */
  async function storeAtLast(write: () => Promise<Replacement>): Promise<Replacement | 'lost'> {
    while (!ending.aborted) {
      const stored = await write()
        .catch(unlessOutage)
        .catch(() => 'lost' as const)
      if (stored !== undefined) return stored
      await untilAgain()
    }
    return 'lost'
  }

  return {
    end,
    leave,
    async conclude(refresh, outcome) {
      const { digest } = refresh.held
      const { session } = refresh.before
      switch (outcome.kind) {
        case 'refreshed':
          return save(refresh, outcome)
        case 'refused':
          return (await isElsewhere(refresh)) ? leave(digest) : end(digest, 'refused', session)
        case 'rejected':
          return end(digest, 'rejected', session, outcome.reason)
        case 'failed':
          options.onResult('failed', { identity: session.identity, reason: outcome.reason })
          return { kind: 'after-failure', retryAfterMs: outcome.retryAfterMs ?? 0 }
      }
    },
  }
}

function unlessOutage(error: unknown): undefined {
  if (!(error instanceof OutageError)) throw error
}

const RESULTS = { replaced: 'refreshed', changed: 'late', gone: 'gone', lost: 'lost' } as const
