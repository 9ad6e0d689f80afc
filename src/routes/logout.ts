import type { SessionCredential } from '../core/session.ts'
import type { Site } from '../core/site.ts'
import { AuthError } from '../errors.ts'
import type { RevocableTokens, SignIn } from '../oidc/sign-in.ts'
import { within } from '../oidc/time-limit.ts'
import type { Ending } from '../session/end-session.ts'
import type { Sessions } from '../session/sessions.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { redirect, settingCookies } from './answers.ts'
import type { Cookies } from './cookies.ts'
import { createLandingPages, type LandingPageOptions, type SignOutState } from './landing-pages.ts'
import { createLogoutIntent, type LogoutIntentOptions } from './logout-intent.ts'
import { createSignOutReader, type SignOutRequest } from './logout-request.ts'
import { type NodeContext, requestIdOf, traceOf } from './node-env.ts'
import { confirmSignOutPage, signedOutPage } from './pages/pages.ts'
import type { PageWriter } from './pages/write.ts'

export interface LogoutOptions extends LandingPageOptions, LogoutIntentOptions {
  readonly cookies: Cookies
  readonly sessions: Sessions
  readonly signIn: SignIn
  readonly realmOf: (host: string) => string
  readonly writePage: PageWriter
  readonly log: Log
  readonly metrics: Metrics
}

/** How long somebody who signs out waits for the provider to revoke tokens. */
const REVOCATION_WAIT_MS = 2000

/** Sign-out: `GET` asks, `POST` from a page of ours or of a protected host does it (threat A67). */
export function createLogout(options: LogoutOptions) {
  const { addresses, cookies, sessions, signIn, log, metrics } = options
  const intent = createLogoutIntent(options)
  const landingPages = createLandingPages(options)
  const readRequest = createSignOutReader({ ...options, landingPages })

  async function confirmLogout(c: NodeContext): Promise<Response> {
    return confirm(c, await readRequest(c))
  }

  async function logout(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const credential = presented(c)
    const request = await readRequest(c)
    if (!intent.isIntended(c.env.incoming, site, credential, request.token)) {
      return confirm(c, request)
    }
    const ended = credential && (await end(c, credential, request))
    const next = ended ?? ownAddress(site, stateOf(request, 'done'))
    return redirect(303, next, settingCookies(...cookies.clearSession(site)))
  }

  async function signedOut(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const [sealed = '', ...others] = c.req.queries('state') ?? []
    const state = others.length === 0 ? landingPages.openState(sealed, site) : undefined
    const isPending = state?.ending === 'pending'
    if (state?.landingPage !== undefined && !isPending) return redirect(302, state.landingPage)
    const loginUrl = addresses.login(site, addresses.landing(site))
    const page = signedOutPage(loginUrl, isPending, state?.landingPage)
    return options.writePage(200, page, requestIdOf(c.env.incoming))
  }

  /** The question keeps what was asked for; Chromium wants each address on the way to be allowed to its form. */
  function confirm(c: NodeContext, { landingPage, isLocal }: SignOutRequest): Promise<Response> {
    const site = c.get('site')
    const fields = {
      token: intent.confirmToken(presented(c)),
      ...(landingPage !== undefined && { rd: landingPage }),
      ...(isLocal && { local: 'true' }),
    }
    const targets = [addresses.signedOut(site), landingPage ?? site.origin].map(
      (url) => new URL(url).origin,
    )
    const elsewhere = [...new Set(targets)].filter((origin) => origin !== site.origin)
    const page = confirmSignOutPage(addresses.logout(site), fields, elsewhere)
    return options.writePage(200, page, requestIdOf(c.env.incoming))
  }

  /** Ends the session and says where to go; nothing where there was none. */
  async function end(
    c: NodeContext,
    credential: SessionCredential,
    request: SignOutRequest,
  ): Promise<string | undefined> {
    const site = c.get('site')
    const realm = options.realmOf(site.host)
    const raw = c.env.incoming
    const requestId = requestIdOf(raw)
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const found = await sessions.find(credential, realm, { standIn })
    if (!found) return undefined
    const { tokens, ending } =
      found.source === 'store'
        ? await endStored(credential, realm, requestId)
        : { ending: sessions.deferSignOut(credential) }
    metrics.signOut()
    const state = stateOf(request, ending)
    const url = request.isLocal ? undefined : await providerUrl(site, tokens?.idToken, state)
    const { issuer, subject } = found.session.identity
    log.info(
      {
        event: 'sign_out',
        kind: url ? 'rp_initiated' : 'local',
        ending,
        user: userDigest(issuer, subject),
        host: site.host,
        request_id: requestId,
        ...traceOf(raw),
      },
      'signed out',
    )
    return url?.href ?? ownAddress(site, state)
  }

  async function endStored(credential: SessionCredential, realm: string, requestId: string) {
    const tokens = await sessions.findTokens(credential, realm)
    const ending = await sessions.signOut(credential)
    if (tokens) await revoke(tokens, requestId)
    return { tokens, ending }
  }

  /** The session has ended by now, whether or not the provider can be told. */
  async function revoke(tokens: RevocableTokens, requestId: string): Promise<void> {
    await within(REVOCATION_WAIT_MS, signIn.revoke(tokens)).catch((cause: unknown) => {
      metrics.tokenRevocationFailed()
      log.warn(
        {
          event: 'revocation_failed',
          code: cause instanceof AuthError ? cause.code : 'internal',
          request_id: requestId,
        },
        'tokens could not be revoked at the provider',
      )
    })
  }

  async function providerUrl(site: Site, idToken: string | undefined, state: SignOutState) {
    return signIn.endSessionUrl({
      ...(idToken !== undefined && { idToken }),
      postLogoutRedirectUri: addresses.signedOut(site),
      state: landingPages.sealState(state, site),
    })
  }

  /** Where the provider has no part in it: our own page stands between only if it has something to say. */
  function ownAddress(site: Site, state: SignOutState): string {
    const own = addresses.signedOut(site)
    if (state.ending === 'pending') return `${own}?state=${landingPages.sealState(state, site)}`
    return state.landingPage ?? own
  }

  function presented(c: NodeContext): SessionCredential | undefined {
    const credential = cookies.readSession(c.env.incoming, c.get('site'))
    return credential === 'ambiguous' ? undefined : credential
  }

  return { confirmLogout, logout, signedOut }
}

function stateOf({ landingPage }: SignOutRequest, ending: Ending): SignOutState {
  return { ending, ...(landingPage !== undefined && { landingPage }) }
}
