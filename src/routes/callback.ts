import { randomBytes } from 'node:crypto'
import { readCookie } from '../core/cookie-header.ts'
import { type Identity, type IdentityOptions, toIdentity } from '../core/identity.ts'
import { parseReturnTo, type ReturnToOptions } from '../core/return-to.ts'
import { parseSessionCookie, type Session, type SessionCredential } from '../core/session.ts'
import type { Site } from '../core/site.ts'
import { AuthError } from '../errors.ts'
import type { Grant, SignIn } from '../oidc/sign-in.ts'
import {
  type Binding,
  countRound,
  formatBinding,
  LOGIN_LIFETIME_MS,
  type LoginTransactions,
  parseBinding,
  type ReturnedLogin,
} from '../session/login-transaction.ts'
import type { Sessions } from '../session/sessions.ts'
import { consumptionKey, type OneTimeKeys } from '../store/one-time-keys.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Addresses } from './addresses.ts'
import type { Cookies } from './cookies.ts'
import { redirect } from './denials.ts'
import { singleQuery } from './login.ts'
import { type NodeContext, requestIdOf, traceOf } from './node-env.ts'
import { continuePage } from './pages/pages.ts'
import type { PageWriter } from './pages/write.ts'

export interface CallbackOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly returnTo: ReturnToOptions
  readonly transactions: LoginTransactions
  readonly signIn: SignIn
  readonly sessions: Sessions
  readonly oneTimeKeys: OneTimeKeys
  readonly identity: IdentityOptions
  readonly realmOf: (host: string) => string
  readonly clientId: string
  readonly concurrency: number
  readonly detectsIdTokenReplay: boolean
  /** A strict cookie does not travel with a redirect that began at another site. */
  readonly needsContinuePage: boolean
  readonly writePage: PageWriter
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => number
}

const ID_TOKEN_SKEW_SECONDS = 30

/** `GET BASE_PATH/callback`: redeems the code, once, and opens the session. */
export function createCallback(options: CallbackOptions) {
  const { addresses, cookies, transactions, signIn, sessions, oneTimeKeys, log, metrics } = options
  let inFlight = 0

  return async function callback(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const state = singleQuery(c, 'state')
    const error = singleQuery(c, 'error')
    const code = singleQuery(c, 'code')
    singleQuery(c, 'iss')
    const presented = presentedCredential(c, site)
    const present = presented && (await sessions.find(presented, options.realmOf(site.host)))

    const binding = readBinding(c, site)
    const returned = binding && state !== undefined && resume(c, binding, state, site)
    if (!binding || !returned) {
      if (present) return redirect(302, addresses.landing(site))
      throw new AuthError('sign_in_failed', 'the state is not one of this browser')
    }
    const target = targetOf(returned, site)
    c.set('target', target)
    if (present && present.createdAt > returned.startedAtMs) return finish(c, target, [])
    if (returned.isExpired) throw new AuthError('sign_in_failed', 'the login took too long')
    if (error !== undefined) throw providerError(error)
    if (code === undefined) throw new AuthError('sign_in_failed', 'the provider sent no code')

    const { cookie, identity } = await redeemOnce(c, site, returned)
    await endPresented(presented, present)
    metrics.signIn('success')
    log.info(
      {
        event: 'sign_in',
        user: userDigest(identity.issuer, identity.subject),
        host: site.host,
        request_id: requestIdOf(c.env.incoming),
        ...traceOf(c.env.incoming),
      },
      'signed in',
    )
    const round = countRound(binding, Math.floor(options.now() / 1000))
    return finish(c, target, [
      cookies.session(site, cookie),
      cookies.login(site, formatBinding(round)),
    ])
  }

  function resume(
    c: NodeContext,
    binding: Binding,
    state: string,
    site: Site,
  ): ReturnedLogin | undefined {
    const further = readCookie(c.env.incoming.headers.cookie, cookies.targetName(site))
    const longTarget = further && further !== 'ambiguous' ? further.value : undefined
    return transactions.resume(binding, state, site.origin, longTarget)
  }

  /** Checked again, since the configuration may have changed since the login began. */
  function targetOf(returned: ReturnedLogin, site: Site): string {
    const target = returned.target && parseReturnTo(returned.target, site, options.returnTo)
    return target || addresses.landing(site)
  }

  async function redeemOnce(c: NodeContext, site: Site, returned: ReturnedLogin) {
    if (inFlight >= options.concurrency) throw new AuthError('busy', 'too many sign-ins at once')
    inFlight++
    try {
      const attemptId = randomBytes(16).toString('base64url')
      const isFirst = await oneTimeKeys.consume(
        'login',
        consumptionKey(returned.txid),
        attemptId,
        LOGIN_LIFETIME_MS,
      )
      if (!isFirst) {
        metrics.replayRefused('login')
        throw new AuthError('sign_in_failed', 'this login has been used')
      }
      const grant = await redeem(c, site, returned, attemptId)
      return await openSession(c, site, grant, attemptId)
    } finally {
      inFlight--
    }
  }

  /** A login whose code was not accepted is not spent, so a reload may try again and strangers leave no marks. */
  async function redeem(
    c: NodeContext,
    site: Site,
    returned: ReturnedLogin,
    attemptId: string,
  ): Promise<Grant> {
    const url = new URL(addresses.callback(site))
    url.search = new URL(c.req.url).search
    const response = {
      url,
      state: c.req.query('state') ?? '',
      nonce: returned.nonce,
      codeVerifier: returned.codeVerifier,
    }
    return signIn.redeem(response).catch(async (cause: unknown) => {
      await oneTimeKeys.release('login', consumptionKey(returned.txid), attemptId)
      throw cause
    })
  }

  async function openSession(c: NodeContext, site: Site, grant: Grant, attemptId: string) {
    const identity = toIdentity(grant.claims, options.identity)
    await consumeIdToken(grant, identity, attemptId)
    const { headers, socket } = c.env.incoming
    const cookie = await sessions.open({
      identity,
      tokens: tokensOf(grant, options.now()),
      metadata: {
        subject: identity.subject,
        displayName: identity.name ?? identity.preferredUsername ?? '',
        ...(typeof grant.claims['sid'] === 'string' && { sid: grant.claims['sid'] }),
        ...(socket.remoteAddress !== undefined && { address: socket.remoteAddress }),
        ...(headers['user-agent'] !== undefined && {
          userAgent: headers['user-agent'].slice(0, 200),
        }),
      },
      realm: options.realmOf(site.host),
    })
    return { cookie, identity }
  }

  async function consumeIdToken(
    grant: Grant,
    identity: Identity,
    attemptId: string,
  ): Promise<void> {
    if (!options.detectsIdTokenReplay) return
    const { jti } = grant.claims
    const key = consumptionKey(
      identity.issuer,
      options.clientId,
      typeof jti === 'string' ? `jti:${jti}` : `token:${grant.idToken}`,
    )
    const remainingSeconds = grant.idTokenExpiresAt + ID_TOKEN_SKEW_SECONDS - options.now() / 1000
    const ttlMs = 1000 * Math.min(Math.max(remainingSeconds, 60), 86_400)
    if (await oneTimeKeys.consume('id-token', key, attemptId, ttlMs)) return
    metrics.replayRefused('id_token')
    throw new AuthError('sign_in_failed', 'this ID token has been used')
  }

  /** A session that was there before does not stay usable beside the new one (threat A65). */
  async function endPresented(
    credential: SessionCredential | undefined,
    session: Session | undefined,
  ) {
    if (credential && session) await sessions.end(credential)
  }

  async function finish(
    c: NodeContext,
    target: string,
    written: readonly string[],
  ): Promise<Response> {
    const headers = [...written, cookies.clearTarget(c.get('site'))].map(
      (cookie) => ['Set-Cookie', cookie] as const,
    )
    if (!options.needsContinuePage) return redirect(302, target, headers)
    return options.writePage(200, continuePage(target), requestIdOf(c.env.incoming), headers)
  }

  function readBinding(c: NodeContext, site: Site): Binding | undefined {
    const cookie = readCookie(c.env.incoming.headers.cookie, cookies.loginName(site))
    return cookie && cookie !== 'ambiguous' ? parseBinding(cookie.value) : undefined
  }

  function presentedCredential(c: NodeContext, site: Site): SessionCredential | undefined {
    const cookie = readCookie(c.env.incoming.headers.cookie, cookies.sessionName(site))
    return cookie && cookie !== 'ambiguous' ? parseSessionCookie(cookie.value) : undefined
  }
}

/** The code of RFC 6749 section 4.1.2.1 decides; its description is the provider's and is shown to nobody. */
function providerError(error: string): AuthError {
  const isFault = error === 'server_error' || error === 'temporarily_unavailable'
  const isKnown = /^[a-z_]{1,40}$/.test(error)
  return new AuthError(
    isFault ? 'provider_failed' : 'sign_in_failed',
    `the provider answered ${isKnown ? error : 'an unknown error'}`,
  )
}

function tokensOf(grant: Grant, nowMs: number) {
  const { idToken, accessToken, refreshToken, accessTokenExpiresInSeconds: seconds } = grant
  return {
    idToken,
    accessToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(seconds !== undefined && { accessTokenExpiresAt: nowMs + seconds * 1000 }),
  }
}
