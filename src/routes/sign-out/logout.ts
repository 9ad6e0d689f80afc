import { classify } from '../../core/request-class.ts'
import { scanHeaders } from '../../core/sent-headers.ts'
import type { SessionCredential } from '../../core/session.ts'
import type { Site } from '../../core/site.ts'
import { redirect, settingCookies } from '../../http/answers.ts'
import { confirmSignOutPage, signedOutPage } from '../../http/pages/pages.ts'
import { type NodeContext, pathOf, requestIdOf } from '../../http/request.ts'
import type { PageWriter } from '../../http/write-page.ts'
import type { Ending } from '../../session/end-session.ts'
import { newBinding } from '../../session/sign-in/login-transaction.ts'
import { createSignOut, type Ended, type SignOutOptions } from './end-sessions.ts'
import { createLandingPages, type LandingPageOptions, type SignOutState } from './landing-pages.ts'
import { createLogoutIntent, type LogoutIntentOptions } from './logout-intent.ts'
import { createSignOutReader, type SignOutRequest } from './logout-request.ts'

export interface LogoutOptions extends LandingPageOptions, LogoutIntentOptions, SignOutOptions {
  readonly writePage: PageWriter
}

/** Serves the sign-out: `GET` asks to confirm, `POST` from a page of ours or of a protected host ends it (threat A67). */
export function createLogout(options: LogoutOptions) {
  const { addresses, cookies, signIn } = options
  const intent = createLogoutIntent(options)
  const signOut = createSignOut(options)
  const landingPages = createLandingPages(options)
  const readRequest = createSignOutReader({ ...options, landingPages })

  async function confirmLogout(c: NodeContext): Promise<Response> {
    return confirm(c, await readRequest(c))
  }

  async function logout(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const request = await readRequest(c)
    if (!intent.isIntended(c.env.incoming, site, presented(c), request.token)) {
      return confirm(c, request)
    }
    return signOutNow(c, request)
  }

  async function signOutNow(c: NodeContext, request: SignOutRequest): Promise<Response> {
    const site = c.get('site')
    const next = await continueSignOut(c, await signOut.end(c), request)
    const cleared = [
      ...cookies.clearSession(site),
      ...cookies.clearPlanted(c.env.incoming, site, pathOf(c.env.incoming)),
    ]
    return redirect(303, next, settingCookies(...cleared, ...freshBinding(c)))
  }

  async function signedOut(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const [sealed = '', ...others] = c.req.queries('state') ?? []
    const state = others.length === 0 ? landingPages.openState(sealed, site) : undefined
    const isPending = state?.ending === 'pending'
    const written = settingCookies(...(isOnTheWayBack(c, state) ? freshBinding(c) : []))
    if (state?.landingPage !== undefined && !isPending) {
      return redirect(302, state.landingPage, written)
    }
    const loginUrl = addresses.login(site, addresses.landing(site))
    const page = signedOutPage(loginUrl, isPending, state?.landingPage)
    return options.writePage(200, page, requestIdOf(c.env.incoming), written)
  }

  /**
   * Replaces the binding, so that the browser's next user cannot finish a login begun by the previous one (finding C9).
   */
  function freshBinding(c: NodeContext): string[] {
    const site = c.get('site')
    if (!cookies.readBinding(c.env.incoming, site)) return []
    return [cookies.binding(site, newBinding())]
  }

  /** Answers with the confirm page; Chromium needs every origin of the later redirects in `form-action`. */
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
    const [signOutUrl, stayUrl] = [addresses.logout(site), addresses.landing(site)]
    const page = confirmSignOutPage(signOutUrl, stayUrl, fields, elsewhere)
    return options.writePage(200, page, requestIdOf(c.env.incoming))
  }

  /** Returns the URL the browser goes to next. */
  async function continueSignOut(c: NodeContext, ended: readonly Ended[], request: SignOutRequest) {
    const site = c.get('site')
    const isPending = ended.some(({ ending }) => ending === 'pending')
    const state = stateOf(request, isPending ? 'pending' : 'done')
    const isOver = request.isLocal || ended.length === 0
    const [idToken] = ended.flatMap((each) =>
      each.kind === 'verified' ? (each.idToken ?? []) : [],
    )
    const url = isOver ? undefined : await providerUrl(site, idToken, state)
    signOut.report(c, ended, url ? 'rp_initiated' : 'local')
    return url?.href ?? ownAddress(site, state)
  }

  async function providerUrl(site: Site, idToken: string | undefined, state: SignOutState) {
    return signIn.endSessionUrl({
      ...(idToken !== undefined && { idToken }),
      postLogoutRedirectUri: addresses.signedOut(site),
      state: landingPages.sealState(state, site),
    })
  }

  /**
   * Returns the address after a sign-out without the provider: the landing page, unless the signed-out page has a
   * pending ending to show or a binding to replace.
   */
  function ownAddress(site: Site, state: SignOutState): string {
    const own = addresses.signedOut(site)
    // The binding is a cookie of the sign-in host, so only a page there can replace it.
    const isElsewhere = addresses.home(site).origin !== site.origin
    if (state.ending === 'pending' || isElsewhere)
      return `${own}?state=${landingPages.sealState(state, site)}`
    return state.landingPage ?? own
  }

  function presented(c: NodeContext): SessionCredential | undefined {
    const credential = cookies.readSession(c.env.incoming, c.get('site'))
    return credential === 'ambiguous' ? undefined : credential
  }

  return {
    confirmLogout,
    logout,
    signedOut,
    /** Signs out here alone, on behalf of a request that is known to be intended. */
    signOutHere: (c: NodeContext) => signOutNow(c, { token: undefined, isLocal: true }),
  }
}

/** Returns whether a sign-out, perhaps on another host, led here; no other request may replace the binding. */
function isOnTheWayBack({ env }: NodeContext, state: SignOutState | undefined): boolean {
  const { incoming } = env
  if (!state || incoming.method !== 'GET') return false
  return classify(scanHeaders(incoming.rawHeaders), 'GET') === 'navigation'
}

function stateOf({ landingPage }: SignOutRequest, ending: Ending): SignOutState {
  return { ending, ...(landingPage !== undefined && { landingPage }) }
}
