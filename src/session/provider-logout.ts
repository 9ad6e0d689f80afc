import { randomBytes } from 'node:crypto'
import { digestOfParts } from '../crypto/digest.ts'
import { OutageError } from '../errors.ts'
import type { EndedAtProvider, LogoutToken } from '../oidc/logout-token.ts'
import type { Moment } from '../store/generations.ts'
import type { OneTimeKeys } from '../store/one-time-keys.ts'
import { providerSessionOwner, userOwner } from './owners.ts'
import type { Sessions } from './sessions.ts'

/**
 * `done`: on every replica. `deferred`: this one refuses the sessions from now on, and the others as soon as the store
 * can be told. `replayed`: nothing was done.
 */
export type ProviderLogoutResult =
  | { readonly outcome: 'done'; readonly count: number }
  | { readonly outcome: 'deferred' | 'replayed' }

/** Ends what has ended at the provider, once. Throws what the store throws, but for an outage. */
export type ProviderLogout = (token: LogoutToken) => Promise<ProviderLogoutResult>

export interface ProviderLogoutOptions {
  readonly sessions: Sessions
  readonly oneTimeKeys: OneTimeKeys
  readonly clientId: string
  readonly isStoreAvailable: () => boolean
  readonly now: () => number
}

/** For the mark of an attempt: when it is over, that of one that was given up is taken over. */
const PENDING_MS = 5000
/** Providers wait for an answer for some seconds. */
const MARK_WITHIN_MS = 1000
const SPENT_MIN_MS = 5 * 60 * 1000

export function createProviderLogout(options: ProviderLogoutOptions): ProviderLogout {
  const { sessions, oneTimeKeys, now } = options

  /** Of this user alone where both are named, should another one's session have the same name. */
  function end(issuer: string, { subject, sid }: EndedAtProvider, asked: Moment): Promise<number> {
    if (sid === undefined) return sessions.endAllOf(userOwner(issuer, subject), { asked })
    const user = subject === undefined ? {} : { user: userOwner(issuer, subject).id }
    return sessions.endAllOf(providerSessionOwner(issuer, sid), { ...user, asked })
  }

  /** Whose sessions they are cannot be looked up just now; providers do not give one `sid` to several users. */
  function defer(
    { issuer, ended: { subject, sid } }: LogoutToken,
    asked: Moment,
  ): ProviderLogoutResult {
    sessions.revocations.deferAllOf(
      sid === undefined ? userOwner(issuer, subject) : providerSessionOwner(issuer, sid),
      asked,
    )
    return { outcome: 'deferred' }
  }

  /** First for a moment, and for good when it has been done, so that what fails may be sent again. */
  async function attempt(token: LogoutToken, asked: Moment): Promise<ProviderLogoutResult> {
    const attemptId = randomBytes(16).toString('base64url')
    const key = digestOfParts(token.issuer, options.clientId, token.jti)
    const consume = (ttlMs: number, timeoutMs?: number) =>
      oneTimeKeys.consume('logout-token', key, attemptId, ttlMs, timeoutMs)
    try {
      if (!(await consume(PENDING_MS, MARK_WITHIN_MS))) return { outcome: 'replayed' }
      const count = await end(token.issuer, token.ended, asked)
      const spentMs = Math.max(token.acceptedUntil - now(), SPENT_MIN_MS)
      const isSpent = await oneTimeKeys.extend('logout-token', key, attemptId, spentMs)
      // It took so long that the mark is over; another attempt that has one now does the same.
      if (!isSpent) await consume(spentMs)
      return { outcome: 'done', count }
    } catch (error) {
      // Not waited for, as it may fail like the rest, and sent behind a mark that may yet be set.
      oneTimeKeys.release('logout-token', key, attemptId).catch(() => undefined)
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
