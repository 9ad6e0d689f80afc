import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type Identity,
  type IdentityOptions,
  ignoredClaims,
  toIdentity,
} from '../../core/identity.ts'
import type { LimitedOrigin } from '../../core/limited-origin.ts'
import { digestOfParts } from '../../crypto/digest.ts'
import { AuthError } from '../../errors.ts'
import type { AuthorizationResponse, Grant, SignIn } from '../../oidc/sign-in.ts'
import type { ConsumptionKind, OneTimeKeys } from '../../store/one-time-keys.ts'
import { keptTokens } from '../kept-tokens.ts'
import { providerSessionOwner, userOwner } from '../owners.ts'
import type { Sessions } from '../sessions.ts'
import { LOGIN_LIFETIME_MS } from './login-transaction.ts'
import { createSignInSlots } from './slots.ts'

/** A login that came back with a code. */
export interface Redeemable extends AuthorizationResponse {
  readonly txid: string
  readonly realm: string
  readonly address?: string
  readonly userAgent?: string
  readonly origin: LimitedOrigin
}

/** A session that has just been opened. */
export interface SignedIn {
  readonly cookie: string
  readonly identity: Identity
  /** Claims that were received and ignored, each with its reason. */
  readonly ignored: readonly string[]
}

/** Turns a code into a session, once. Throws `AuthError` `busy`, `sign_in_failed` and what the provider and store throw. */
export type Redemption = (redeemable: Redeemable) => Promise<SignedIn>

export interface RedemptionOptions {
  readonly signIn: SignIn
  readonly sessions: Sessions
  readonly oneTimeKeys: OneTimeKeys
  readonly identity: IdentityOptions
  readonly clientId: string
  /** Token requests in flight at most (fault F31). */
  readonly concurrency: number
  readonly detectsIdTokenReplay: boolean
  readonly onReplay: (kind: ConsumptionKind) => void
  readonly now: () => number
}

/** Longer than the answers of a slow Redis take, and short for somebody who waits. */
const CLAIM_MS = 1500
/** Adds a margin, because timers fire up to a millisecond early and stores round expiry times. */
const CLAIM_ENDED_MS = CLAIM_MS + 50
const ID_TOKEN_SKEW_SECONDS = 30
const ID_TOKEN_MIN_SECONDS = 60
const ID_TOKEN_MAX_SECONDS = 86_400

export function createRedemption(options: RedemptionOptions): Redemption {
  const { signIn, sessions, oneTimeKeys, now } = options
  const slots = createSignInSlots(options.concurrency)

  function refuseReplay(kind: ConsumptionKind): never {
    options.onReplay(kind)
    throw new AuthError('sign_in_failed', `the ${kind} has been used before`)
  }

  /** First for a moment, then for good: a mark that is set late, after its attempt was given up, spends no login. */
  async function claim(key: string, attemptId: string): Promise<boolean> {
    if (!(await oneTimeKeys.consume('login', key, attemptId, CLAIM_MS))) return false
    if (await oneTimeKeys.extend('login', key, attemptId, LOGIN_LIFETIME_MS)) return true
    throw new AuthError('store_unavailable', 'the login could not be marked in time')
  }

  /** A login whose code was not accepted is not spent, so a reload may try again and strangers leave no marks. */
  async function redeemCode(redeemable: Redeemable, attemptId: string) {
    try {
      // Before the code: whatever is ended from now on ends this sign-in, too.
      const generation = await sessions.currentGeneration()
      return { grant: await signIn.redeem(redeemable), generation }
    } catch (cause) {
      const key = digestOfParts(redeemable.txid)
      // What the provider said is the answer, also where the mark cannot be taken back.
      await oneTimeKeys.release('login', key, attemptId).catch(() => undefined)
      throw cause
    }
  }

  async function consumeIdToken(
    { claims, idToken, idTokenExpiresAt }: Grant,
    issuer: string,
    attemptId: string,
  ) {
    const { jti } = claims
    const token = typeof jti === 'string' ? `jti:${jti}` : `token:${idToken}`
    const remainingSeconds = idTokenExpiresAt + ID_TOKEN_SKEW_SECONDS - now() / 1000
    const ttlSeconds = Math.min(
      Math.max(remainingSeconds, ID_TOKEN_MIN_SECONDS),
      ID_TOKEN_MAX_SECONDS,
    )
    const key = digestOfParts(issuer, options.clientId, token)
    const isFirst = await oneTimeKeys.consume('id-token', key, attemptId, ttlSeconds * 1000)
    if (!isFirst) refuseReplay('id-token')
  }

  async function open(
    { realm, address, userAgent }: Redeemable,
    grant: Grant,
    identity: Identity,
    generation: number,
  ): Promise<string> {
    const { issuer, subject } = identity
    const { sid } = grant.claims
    return sessions.open({
      identity,
      tokens: keptTokens(grant, now(), { idToken: grant.idToken, generation }),
      metadata: {
        subject,
        displayName: identity.name ?? identity.preferredUsername ?? '',
        owners: {
          user: userOwner(issuer, subject).id,
          ...(typeof sid === 'string' && { providerSession: providerSessionOwner(issuer, sid).id }),
        },
        ...(address !== undefined && { address }),
        ...(userAgent !== undefined && { userAgent: userAgent.slice(0, 200) }),
      },
      realm,
    })
  }

  /** Nothing when somebody has marked the login before. */
  async function attempt(redeemable: Redeemable): Promise<SignedIn | undefined> {
    const giveBack = slots.take(redeemable.origin)
    try {
      const attemptId = randomBytes(16).toString('base64url')
      if (!(await claim(digestOfParts(redeemable.txid), attemptId))) return undefined
      const { grant, generation } = await redeemCode(redeemable, attemptId)
      const identity = toIdentity(grant.claims, options.identity)
      if (options.detectsIdTokenReplay) await consumeIdToken(grant, identity.issuer, attemptId)
      const cookie = await open(redeemable, grant, identity, generation)
      return { cookie, identity, ignored: ignoredClaims(grant.claims, options.identity) }
    } finally {
      giveBack()
    }
  }

  return async (redeemable) => {
    const first = await attempt(redeemable)
    if (first) return first
    // It may be the mark of an attempt that was given up, which ends by itself (fault F04).
    await pause(CLAIM_ENDED_MS)
    return (await attempt(redeemable)) ?? refuseReplay('login')
  }
}
