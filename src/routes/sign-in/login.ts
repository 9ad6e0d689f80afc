import type { EpochMs } from '../../core/epoch-ms.ts'
import { type Binding, isLooping } from '../../core/login-binding.ts'
import { parseReturnTo, type ReturnToOptions } from '../../core/return-to.ts'
import type { Site } from '../../core/site.ts'
import { AuthError, type FailureFacts } from '../../errors.ts'
import type { Addresses, LoginParameters } from '../../http/addresses.ts'
import { redirect, settingCookies } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import { type LoopCause, loopPage } from '../../http/pages/loop-page.ts'
import { type NodeContext, pathOf, requestIdOf, singleQuery, traceOf } from '../../http/request.ts'
import type { PageWriter } from '../../http/write-page.ts'
import type { SignIn } from '../../oidc/sign-in.ts'
import type { Sessions } from '../../session/sessions.ts'
import {
  countFailedRound,
  type LoginTransactions,
  newBinding,
} from '../../session/sign-in/login-transaction.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export interface LoginOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly returnTo: ReturnToOptions
  readonly transactions: LoginTransactions
  readonly sessions: Sessions
  readonly realmOf: (host: string) => string
  readonly signIn: SignIn
  /** Returns whether the store can take a session now, as far as is known. */
  readonly isStoreAvailable: () => boolean
  /** Returns why it cannot, for the log. */
  readonly storeFacts: () => FailureFacts
  readonly writePage: PageWriter
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
}

/** Serves `GET BASE_PATH/login?rd=`: redirects to the provider. The server stores nothing for a login. */
export function createLogin(options: LoginOptions) {
  const { addresses, cookies, transactions, signIn, writePage, log, metrics } = options

  return async function login(c: NodeContext): Promise<Response> {
    const raw = c.env.incoming
    const site = c.get('site')
    const target = readTarget(c, site)
    const parameters = readParameters(c)
    const home = addresses.home(site)
    if (home.origin !== site.origin) return redirect(302, addresses.login(site, target, parameters))

    c.set('target', target)
    requireStore()
    const isRetry = parameters.retry === '1'
    const isAgain = parameters.again === '1'
    if ((isRetry || isAgain) && (await isSignedIn(c, site))) return redirect(302, target)
    const nowSeconds = Math.floor(options.now() / 1000)
    const known = cookies.readBinding(raw, site) ?? newBinding()
    if (isLooping(known, nowSeconds)) return stopLoop(c, target, known, isAgain)
    const binding = isAgain ? countFailedRound(known, nowSeconds) : known
    const started = transactions.start(binding, target, site.origin, isRetry)
    const url = await signIn.authorizationUrl({
      redirectUri: addresses.callback(site),
      state: started.state,
      nonce: started.nonce,
      codeChallenge: started.codeChallenge,
      ...(parameters.prompt && { prompt: parameters.prompt }),
    })
    const written = [
      ...cookies.clearPlanted(raw, site, pathOf(raw)),
      cookies.binding(site, binding),
      ...(started.longTarget === undefined ? [] : [cookies.target(site, started.longTarget)]),
    ]
    return redirect(302, url.href, settingCookies(...written))
  }

  function requireStore(): void {
    if (options.isStoreAvailable()) return
    throw new AuthError(
      'store_unavailable',
      'the store is not available, so a sign-in could not be finished',
      { facts: options.storeFacts() },
    )
  }

  async function isSignedIn(c: NodeContext, site: Site): Promise<boolean> {
    const credential = cookies.readSession(c.env.incoming, site)
    if (!credential || credential === 'ambiguous') return false
    return (await options.sessions.find(credential, options.realmOf(site.host))) !== undefined
  }

  /** Answers with a page that names the likely cause, and resets the count, so that a person can try once more. */
  async function stopLoop(
    c: NodeContext,
    target: string,
    binding: Binding,
    isUnfinished: boolean,
  ): Promise<Response> {
    const raw = c.env.incoming
    const site = c.get('site')
    const requestId = requestIdOf(raw)
    metrics.loopStopped()
    const didCookieArrive = cookies.readSession(raw, site) !== undefined
    const arrived = didCookieArrive ? 'not-accepted' : 'no-cookie'
    const cause = isUnfinished ? 'unfinished' : arrived
    log.warn(
      {
        event: 'sign_in_loop',
        host: site.host,
        reason: LOOP_REASONS[cause],
        request_id: requestId,
        ...traceOf(raw),
      },
      'a sign-in loop was stopped',
    )
    const page = loopPage(cause, new URL(target).host, addresses.login(site, target))
    const reset = cookies.binding(site, { ...binding, rounds: 0 })
    return writePage(400, page, requestId, settingCookies(reset))
  }

  function readTarget(c: NodeContext, site: Site): string {
    const rd = singleQuery(c, 'rd')
    if (rd === undefined || rd === '') return addresses.landing(site)
    const target = parseReturnTo(rd, site, options.returnTo)
    if (target !== undefined) return target
    const raw = c.env.incoming
    const about = { host: site.host, request_id: requestIdOf(raw), ...traceOf(raw) }
    log.warn(
      { event: 'suspicious_return_to', ...about },
      'a return address was refused: it leads to no protected host, or is too long without its query',
    )
    throw new AuthError(
      'invalid_return_to',
      'The address to return to is not one of the protected hosts, or is longer than 3000 characters without its query.',
      { isPublic: true },
    )
  }
}

const LOOP_REASONS: Readonly<Record<LoopCause, string>> = {
  'no-cookie':
    'the session cookie did not come back: check COOKIE_DOMAIN and that the app is reached by https',
  'not-accepted':
    'the session cookie came back and was not accepted: check SESSION_ENCRYPTION_KEY, REDIS_ADDRESS and REDIS_CACHE_MODE of all replicas, one of which may be in memory mode',
  unfinished:
    'the provider or the store failed after each sign-in at the provider; see the lines before',
}

function readParameters(c: NodeContext): LoginParameters {
  const asksAnew = singleQuery(c, 'prompt') === 'login'
  const isRetry = singleQuery(c, 'retry') === '1'
  const isAgain = singleQuery(c, 'again') === '1'
  return {
    ...(asksAnew && { prompt: 'login' }),
    ...(isRetry && { retry: '1' }),
    ...(isAgain && { again: '1' }),
  }
}
