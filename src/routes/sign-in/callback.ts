import type { EpochMs } from '../../core/epoch-ms.ts'
import type { Binding } from '../../core/login-binding.ts'
import { parseReturnTo, type ReturnToOptions } from '../../core/return-to.ts'
import type { Session, SessionCredential } from '../../core/session.ts'
import type { Site } from '../../core/site.ts'
import { AuthError } from '../../errors.ts'
import type { Addresses } from '../../http/addresses.ts'
import { redirect, settingCookies } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import { continuePage } from '../../http/pages/pages.ts'
import { type NodeContext, pathOf, requestIdOf, singleQuery, traceOf } from '../../http/request.ts'
import { peerAddress, type TrustedProxies } from '../../http/trusted-proxies.ts'
import type { PageWriter } from '../../http/write-page.ts'
import type { SignIn } from '../../oidc/sign-in.ts'
import { sessionDigest } from '../../session/records.ts'
import type { Sessions } from '../../session/sessions.ts'
import {
  countRound,
  type LoginTransactions,
  type ReturnedLogin,
} from '../../session/sign-in/login-transaction.ts'
import type { Redeemable, Redemption } from '../../session/sign-in/redeem-login.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { countingFaults, isFault } from './sign-in-faults.ts'

export interface CallbackOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly returnTo: ReturnToOptions
  readonly transactions: LoginTransactions
  readonly signIn: Pick<SignIn, 'refusal'>
  readonly redeem: Redemption
  readonly sessions: Sessions
  readonly realmOf: (host: string) => string
  /** Whether the target is reached through a page, because a strict cookie is not sent with a cross-site redirect. */
  readonly needsContinuePage: boolean
  readonly proxies: TrustedProxies
  /** Receives each login that another replica began. */
  readonly onFromElsewhere: (isFromMemory: boolean) => void
  readonly writePage: PageWriter
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
}

type BoundLogin = Pick<Redeemable, 'txid' | 'state' | 'nonce' | 'codeVerifier' | 'onSpent'>

interface Presented {
  readonly credential: SessionCredential
  readonly session: Session
}

const NOT_OUR_STATE =
  'the state was not sealed by this installation, or for another host; or by a replica with another key, as one in memory mode without SESSION_ENCRYPTION_KEY'
const OTHER_KEY = { setting: 'SESSION_ENCRYPTION_KEY' }
const NOT_THIS_BROWSER = 'the login was begun in another browser, or its binding was replaced'

/** Serves `GET BASE_PATH/callback`: redeems the provider's answer and leads to the target or to an error page. */
export function createCallback(options: CallbackOptions) {
  const { addresses, cookies, transactions, sessions, log, metrics } = options

  return async function callback(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const query = readQuery(c)
    const presented = await findPresented(c, site)
    const binding = cookies.readBinding(c.env.incoming, site)
    const login = resume(c, query.state, binding)
    const target = targetOf(login, site)
    c.set('target', target)
    if (presented && presented.session.createdAt > login.startedAtMs)
      return finish(c, login, target, [])

    if (!binding || !login.secrets) {
      if (binding && !login.isRetry)
        c.set('retryUrl', addresses.login(site, target, { retry: '1' }))
      throw new AuthError('sign_in_failed', NOT_THIS_BROWSER)
    }
    const newLoginUrl = addresses.login(site, target, { again: '1' })
    const refusal = await refusalOf(login, query)
    if (refusal) {
      c.set('newLoginUrl', newLoginUrl)
      // A visitor can bring any error in the name of the provider.
      if (isFault(refusal)) metrics.signIn('refused')
      throw refusal
    }
    const cookie = await redeem(c, site, {
      txid: login.txid,
      state: query.state,
      ...login.secrets,
      onSpent: () => c.set('newLoginUrl', newLoginUrl),
    })
    if (presented) await sessions.end(sessionDigest(presented.credential), 'replaced')
    const round = countRound(binding, Math.floor(options.now() / 1000))
    const written = [
      ...cookies.clearPlanted(c.env.incoming, site, pathOf(c.env.incoming)),
      cookies.session(site, cookie),
      cookies.binding(site, round),
    ]
    return finish(c, login, target, [...written, ...clearStale(c, site)])
  }

  function resume(c: NodeContext, state: string, binding: Binding | undefined): ReturnedLogin {
    const site = c.get('site')
    const longTarget = cookies.readTarget(c.env.incoming, site)
    const login = transactions.resume({ state, origin: site.origin, binding, longTarget })
    if (!login) throw new AuthError('sign_in_failed', NOT_OUR_STATE, { facts: OTHER_KEY })
    if (login.isFromElsewhere) options.onFromElsewhere(login.isFromMemory)
    return login
  }

  /** Returns why a callback brings no code that can be redeemed; `undefined` where it brings one. */
  async function refusalOf(
    login: ReturnedLogin,
    { error, description, code }: CallbackQuery,
  ): Promise<AuthError | undefined> {
    if (login.isExpired) return new AuthError('sign_in_failed', 'the login took too long')
    if (error !== undefined) return options.signIn.refusal(error, description)
    if (code !== undefined) return undefined
    return new AuthError('sign_in_failed', 'the provider sent no code')
  }

  /** Expires the outage assertion of an earlier session, because it would keep the new one from getting its own. */
  function clearStale(c: NodeContext, site: Site): string[] {
    return cookies.readOutage(c.env.incoming, site) === undefined ? [] : cookies.clearOutage(site)
  }

  /** Redeems the code and returns the value of the session cookie. */
  async function redeem(c: NodeContext, site: Site, login: BoundLogin): Promise<string> {
    const raw = c.env.incoming
    const url = new URL(addresses.callback(site))
    url.search = new URL(c.req.url).search
    const userAgent = raw.headers['user-agent']
    const redeeming = options.redeem({
      ...login,
      url,
      realm: options.realmOf(site.host),
      address: options.proxies.clientAddress(raw) ?? peerAddress(raw),
      origin: options.proxies.limitedOrigin(raw),
      ...(userAgent !== undefined && { userAgent }),
    })
    const { cookie, identity, ignored } = await redeeming.catch(countingFaults(metrics))
    metrics.signIn('success')
    const user = userDigest(identity.issuer, identity.subject)
    const about = { host: site.host, request_id: requestIdOf(raw), ...traceOf(raw) }
    log.info(
      { event: 'sign_in', user, ...(ignored.length > 0 && { ignored }), ...about },
      'a user signed in',
    )
    return cookie
  }

  /** Validates the target again, because settings may have changed since the login began. */
  function targetOf(login: ReturnedLogin, site: Site): string {
    const target = login.target && parseReturnTo(login.target.url, site, options.returnTo)
    return target || addresses.landing(site)
  }

  /** Finds the session the browser already has, which ends when the new one is stored (threat A65). */
  async function findPresented(c: NodeContext, site: Site): Promise<Presented | undefined> {
    const credential = cookies.readSession(c.env.incoming, site)
    if (!credential || credential === 'ambiguous') return undefined
    const found = await sessions.find(credential, options.realmOf(site.host))
    return found && { credential, session: found.session }
  }

  async function finish(
    c: NodeContext,
    login: ReturnedLogin,
    target: string,
    written: readonly string[],
  ): Promise<Response> {
    const cleared = login.target?.carriedBy === 'cookie' ? [cookies.clearTarget(c.get('site'))] : []
    const headers = settingCookies(...written, ...cleared)
    if (!options.needsContinuePage) return redirect(302, target, headers)
    return options.writePage(200, continuePage(target), requestIdOf(c.env.incoming), headers)
  }
}

interface CallbackQuery {
  readonly state: string
  readonly code: string | undefined
  readonly error: string | undefined
  readonly description: string | undefined
}

/** Reads the parameters; one without a value counts as left out (RFC 6749 section 3.1). */
function readQuery(c: NodeContext): CallbackQuery {
  const single = (name: string) => singleQuery(c, name, 'sign_in_failed') || undefined
  single('iss')
  return {
    state: single('state') ?? '',
    code: single('code'),
    error: single('error'),
    description: single('error_description'),
  }
}
