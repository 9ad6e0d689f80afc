import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Identity, type IdentityOptions, toIdentity } from '../core/identity.ts'
import { AuthError } from '../errors.ts'
import type { AuthorizationResponse, Grant, SignIn } from '../oidc/sign-in.ts'
import { type ConsumptionKind, consumptionKey, type OneTimeKeys } from '../store/one-time-keys.ts'
import type { Tokens } from './codec.ts'
import { LOGIN_LIFETIME_MS } from './login-transaction.ts'
import type { Sessions } from './sessions.ts'

/** A login that came back with a code. */
export interface Redeemable extends AuthorizationResponse {
  readonly txid: string
  readonly realm: string
  readonly address?: string
  readonly userAgent?: string
}

/** A session that has just been opened. */
export interface SignedIn {
  readonly cookie: string
  readonly identity: Identity
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

const CLAIM_MS = 500
const ID_TOKEN_SKEW_SECONDS = 30
const ID_TOKEN_MIN_SECONDS = 60
const ID_TOKEN_MAX_SECONDS = 86_400

export function createRedemption(options: RedemptionOptions): Redemption {
  const { signIn, sessions, oneTimeKeys, now } = options
  let inFlight = 0

  async function consume(
    kind: ConsumptionKind,
    key: string,
    attemptId: string,
    ttlMs: number,
  ): Promise<void> {
    if (await oneTimeKeys.consume(kind, key, attemptId, ttlMs)) return
    options.onReplay(kind)
    throw new AuthError('sign_in_failed', `the ${kind} has been used before`)
  }

  /**
   * First for a moment, then for good: a mark that is set late, after its attempt was given up, must not spend the
   * login (fault F04). What is found marked may be such a mark, which ends by itself.
   */
  async function consumeLogin(key: string, attemptId: string): Promise<void> {
    if (!(await oneTimeKeys.consume('login', key, attemptId, CLAIM_MS))) {
      await pause(CLAIM_MS)
      await consume('login', key, attemptId, CLAIM_MS)
    }
    if (await oneTimeKeys.extend('login', key, attemptId, LOGIN_LIFETIME_MS)) return
    throw new AuthError('store_unavailable', 'the login could not be marked in time')
  }

  /** A login whose code was not accepted is not spent, so a reload may try again and strangers leave no marks. */
  async function redeemOnce(redeemable: Redeemable, attemptId: string): Promise<Grant> {
    const key = consumptionKey(redeemable.txid)
    await consumeLogin(key, attemptId)
    return signIn.redeem(redeemable).catch(async (cause: unknown) => {
      // What the provider said is the answer, also where the mark cannot be taken back.
      await oneTimeKeys.release('login', key, attemptId).catch(() => undefined)
      throw cause
    })
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
    await consume(
      'id-token',
      consumptionKey(issuer, options.clientId, token),
      attemptId,
      ttlSeconds * 1000,
    )
  }

  async function open(
    { realm, address, userAgent }: Redeemable,
    grant: Grant,
    identity: Identity,
  ): Promise<string> {
    const { issuer, subject } = identity
    const { sid } = grant.claims
    return sessions.open({
      identity,
      tokens: tokensOf(grant, now()),
      metadata: {
        subject,
        displayName: identity.name ?? identity.preferredUsername ?? '',
        owners: {
          user: consumptionKey(issuer, subject),
          ...(typeof sid === 'string' && { providerSession: consumptionKey(issuer, sid) }),
        },
        ...(address !== undefined && { address }),
        ...(userAgent !== undefined && { userAgent: userAgent.slice(0, 200) }),
      },
      realm,
    })
  }

  return async (redeemable) => {
    if (inFlight >= options.concurrency) throw new AuthError('busy', 'too many sign-ins at once')
    inFlight++
    try {
      const attemptId = randomBytes(16).toString('base64url')
      const grant = await redeemOnce(redeemable, attemptId)
      const identity = toIdentity(grant.claims, options.identity)
      if (options.detectsIdTokenReplay) await consumeIdToken(grant, identity.issuer, attemptId)
      return { cookie: await open(redeemable, grant, identity), identity }
    } finally {
      inFlight--
    }
  }
}

function tokensOf(grant: Grant, nowMs: number): Tokens {
  const { idToken, accessToken, refreshToken, accessTokenExpiresInSeconds: seconds } = grant
  return {
    idToken,
    accessToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(seconds !== undefined && { accessTokenExpiresAt: nowMs + seconds * 1000 }),
  }
}
