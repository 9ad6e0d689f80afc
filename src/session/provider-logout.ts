import { randomBytes } from 'node:crypto'
import type { EpochMs } from '../core/epoch-ms.ts'
import { digestOfParts } from '../crypto/digest.ts'
import { OutageError } from '../errors.ts'
import type { EndedAtProvider, LogoutToken } from '../oidc/tokens/logout-token.ts'
import type { Moment } from '../store/generations.ts'
import type { ConsumptionAttempt, OneTimeKeys } from '../store/one-time-keys.ts'
import { providerSessionOwner, userOwner } from './owners.ts'
import type { Sessions } from './sessions.ts'

/**
 * Outcome of a logout token. `done`: the sessions have ended on every replica; `deferred`: this replica refuses them,
 * and the others will when the store is back; `replayed`: the token was used before and nothing was done.
 */
export type ProviderLogoutResult =
  | { readonly outcome: 'done'; readonly count: number }
  | { readonly outcome: 'deferred' | 'replayed' }

/** Ends the sessions that a logout token names, once per `jti`. Throws the store's errors except for an outage. */
export type ProviderLogout = (token: LogoutToken) => Promise<ProviderLogoutResult>

export interface ProviderLogoutOptions {
  readonly sessions: Sessions
  readonly oneTimeKeys: OneTimeKeys
  readonly clientId: string
  readonly isStoreAvailable: () => boolean
  readonly now: () => EpochMs
}

/** Lifetime of the mark of an attempt, after which the provider may retry an abandoned one. */
const PENDING_MS = 5000
/** Bounds the wait for the mark, because providers wait for an answer for some seconds. */
const MARK_WITHIN_MS = 1000
/** Minimum lifetime of the mark of a token that was used. */
const SPENT_MIN_MS = 5 * 60 * 1000

export function createProviderLogout(options: ProviderLogoutOptions): ProviderLogout {
  const { sessions, oneTimeKeys, now } = options

  /** Ends only this user's sessions where both are named, because another user's session may share the `sid`. */
  function end(issuer: string, { subject, sid }: EndedAtProvider, asked: Moment): Promise<number> {
    if (sid === undefined) {
      return sessions.endAllOf(userOwner(issuer, subject), { asked, reason: 'provider' })
    }
    const user = subject === undefined ? {} : { user: userOwner(issuer, subject).id }
    return sessions.endAllOf(providerSessionOwner(issuer, sid), {
      ...user,
      asked,
      reason: 'provider',
    })
  }

  /** Defers by `sid` alone, because the store cannot tell the users now and providers give a `sid` to one user. */
  function defer(
    { issuer, ended: { subject, sid } }: LogoutToken,
    asked: Moment,
  ): ProviderLogoutResult {
    sessions.deferAllOf(
      sid === undefined ? userOwner(issuer, subject) : providerSessionOwner(issuer, sid),
      { asked, reason: 'provider' },
    )
    return { outcome: 'deferred' }
  }

  /** Marks the token for 5 s and extends the mark at the end, so that the provider may retry a failure. */
  async function attempt(token: LogoutToken, asked: Moment): Promise<ProviderLogoutResult> {
    const ours: ConsumptionAttempt = {
      kind: 'logout-token',
      key: digestOfParts(token.issuer, options.clientId, token.jti),
      attemptId: randomBytes(16).toString('base64url'),
    }
    try {
      if (!(await oneTimeKeys.consume(ours, PENDING_MS, MARK_WITHIN_MS)))
        return { outcome: 'replayed' }
      const count = await end(token.issuer, token.ended, asked)
      const spentMs = Math.max(token.acceptedUntil - now(), SPENT_MIN_MS)
      const isSpent = await oneTimeKeys.extend(ours, spentMs)
      // Marks it anew where the mark expired meanwhile; a concurrent attempt ends the same sessions.
      if (!isSpent) await oneTimeKeys.consume(ours, spentMs)
      return { outcome: 'done', count }
    } catch (error) {
      // Does not wait, because the release may fail too; it is queued behind a mark whose answer was lost.
      oneTimeKeys.release(ours).catch(() => undefined)
      throw error
    }
  }

  return async (token) => {
    const asked = sessions.moment()
    if (!options.isStoreAvailable()) return defer(token, asked)
    try {
      return await attempt(token, asked)
    } catch (error) {
      if (!(error instanceof OutageError)) throw error
      return defer(token, asked)
    }
  }
}
