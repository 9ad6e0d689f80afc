import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { EpochMs } from '../../core/epoch-ms.ts'
import type { Identity } from '../../core/identity.ts'
import type { LimitedOrigin } from '../../core/limited-origin.ts'
import { LOGIN_LIFETIME_MS } from '../../core/login-binding.ts'
import { type IdentityOptions, ignoredClaims, toIdentity } from '../../core/read-identity.ts'
import { digestOfParts } from '../../crypto/digest.ts'
import { AuthError } from '../../errors.ts'
import type { AuthorizationResponse, Grant, SignIn } from '../../oidc/sign-in.ts'
import type { ConsumptionAttempt, ConsumptionKind, OneTimeKeys } from '../../store/one-time-keys.ts'
import { keptTokens } from '../kept-tokens.ts'
import { providerSessionOwner, userOwner } from '../owners.ts'
import type { Sessions } from '../sessions.ts'
import { createSignInSlots } from './slots.ts'

/** Login that returned from the provider with a code. */
export interface Redeemable extends AuthorizationResponse {
  readonly txid: string
  readonly realm: string
  readonly address?: string
  readonly userAgent?: string
  readonly origin: LimitedOrigin
}

/** Session that has just been opened. */
export interface SignedIn {
  readonly cookie: string
  readonly identity: Identity
  /** Claims that were received and ignored, each with its reason. */
  readonly ignored: readonly string[]
}

/** Turns a code into a session, once. Throws `AuthError` `busy`, `sign_in_failed` and those of provider and store. */
export type Redemption = (redeemable: Redeemable) => Promise<SignedIn>

export interface RedemptionOptions {
  readonly signIn: SignIn
  readonly sessions: Sessions
  readonly oneTimeKeys: OneTimeKeys
  readonly identity: IdentityOptions
  readonly clientId: string
  /** Bounds token requests in flight (fault F31). */
  readonly concurrency: number
  readonly detectsIdTokenReplay: boolean
  readonly onReplay: (kind: ConsumptionKind) => void
  readonly now: () => EpochMs
}

/** Lifetime of the first mark; short, because a retry waits for it to expire. */
const CLAIM_MS = 1500
/** Pause before the retry, with a margin because timers fire up to 1 ms early and stores round expiry times. */
const CLAIM_ENDED_MS = CLAIM_MS + 50
const ID_TOKEN_SKEW_SECONDS = 30
const ID_TOKEN_MIN_SECONDS = 60
const ID_TOKEN_MAX_SECONDS = 86_400

/** Creates a redemption that claims login and ID token by marks over all replicas before it opens a session. */
export function createRedemption(options: RedemptionOptions): Redemption {
  const { signIn, sessions, oneTimeKeys, now } = options
  const slots = createSignInSlots(options.concurrency)

  function refuseReplay(kind: ConsumptionKind): never {
    options.onReplay(kind)
    throw new AuthError('sign_in_failed', `replay: the ${kind} has been used before`)
  }

  /** Extends the mark, because one that is set after its attempt gave up must expire. */
  async function keepMark(mark: ConsumptionAttempt): Promise<void> {
    if (await oneTimeKeys.extend(mark, LOGIN_LIFETIME_MS)) return
    throw new AuthError('store_unavailable', 'the mark of the login expired before it was extended')
  }

  /** Releases the mark unless the code is spent, so that a reload may retry and made-up codes leave no marks. */
  async function redeemCode(redeemable: Redeemable, mark: ConsumptionAttempt) {
    let isSpent = false
    const onSpent: Redeemable['onSpent'] = (fate) => {
      isSpent = fate === 'spent'
      redeemable.onSpent(fate)
    }
    try {
      // Reads the generation before redeeming, so that an end of all sessions from now on includes this sign-in.
      const [generation] = await Promise.all([sessions.currentGeneration(), keepMark(mark)])
      return { grant: await signIn.redeem({ ...redeemable, onSpent }), generation }
    } catch (cause) {
      // Ignores a failed release, because the provider's error is the answer.
      if (!isSpent) await oneTimeKeys.release(mark).catch(() => undefined)
      throw cause
    }
  }

  async function consumeIdToken(
    { claims, idToken, idTokenExpiresAtSeconds }: Grant,
    issuer: string,
    attemptId: string,
  ) {
    const { jti } = claims
    const token = typeof jti === 'string' ? `jti:${jti}` : `token:${idToken}`
    const remainingSeconds = idTokenExpiresAtSeconds + ID_TOKEN_SKEW_SECONDS - now() / 1000
    const ttlSeconds = Math.min(
      Math.max(remainingSeconds, ID_TOKEN_MIN_SECONDS),
      ID_TOKEN_MAX_SECONDS,
    )
    const key = digestOfParts(issuer, options.clientId, token)
    const attempt = { kind: 'id-token', key, attemptId } as const
    if (!(await oneTimeKeys.consume(attempt, ttlSeconds * 1000))) refuseReplay('id-token')
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

  /** Resolves with `undefined` where another attempt has marked the login. */
  async function attempt(redeemable: Redeemable): Promise<SignedIn | undefined> {
    const giveBack = slots.take(redeemable.origin)
    try {
      const attemptId = randomBytes(16).toString('base64url')
      const mark = { kind: 'login', key: digestOfParts(redeemable.txid), attemptId } as const
      if (!(await oneTimeKeys.consume(mark, CLAIM_MS))) return undefined
      const { grant, generation } = await redeemCode(redeemable, mark)
      const identity = toIdentity(grant.claims, options.identity)
      if (options.detectsIdTokenReplay) await consumeIdToken(grant, identity.issuer, attemptId)
      const cookie = await open(redeemable, grant, identity, generation)
      const ignored = [...grant.ignored, ...ignoredClaims(grant.claims, options.identity)]
      return { cookie, identity, ignored }
    } finally {
      giveBack()
    }
  }

  return async (redeemable) => {
    const first = await attempt(redeemable)
    if (first) return first
    // Retries once after the mark's lifetime, because it may be that of an abandoned attempt (fault F04).
    await pause(CLAIM_ENDED_MS)
    return (await attempt(redeemable)) ?? refuseReplay('login')
  }
}
