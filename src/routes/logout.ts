import { createHmac, timingSafeEqual } from 'node:crypto'
import { formatSessionCookie, type SessionCredential } from '../core/session.ts'
import type { Site, Sites } from '../core/site.ts'
import type { ProviderConnection } from '../oidc/provider.ts'
import type { SignIn } from '../oidc/sign-in.ts'
import type { KeyRing } from '../seal.ts'
import type { Tokens } from '../session/codec.ts'
import type { Ending } from '../session/end-session.ts'
import type { Sessions } from '../session/sessions.ts'
import { type Log, userDigest } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Addresses } from './addresses.ts'
import { redirect, settingCookies } from './answers.ts'
import type { Cookies } from './cookies.ts'
import { type NodeContext, requestIdOf, traceOf } from './node-env.ts'
import { confirmSignOutPage, signedOutPage } from './pages/pages.ts'
import type { PageWriter } from './pages/write.ts'

export interface LogoutOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly knownSites: Sites
  readonly sessions: Sessions
  readonly signIn: SignIn
  readonly provider: ProviderConnection
  readonly ring: KeyRing
  readonly realmOf: (host: string) => string
  readonly writePage: PageWriter
  readonly log: Log
  readonly metrics: Metrics
}

/** Comes back from the provider as it was sent (OpenID Connect RP-Initiated Logout 1.0 section 3). */
const PENDING = 'pending'

/** Sign-out: `GET` asks, `POST` from a page of ours or of a protected host does it (threat A67). */
export function createLogout(options: LogoutOptions) {
  const { addresses, cookies, sessions, signIn, writePage, log, metrics } = options

  async function confirmLogout(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const page = confirmSignOutPage(addresses.logout(site), confirmToken(presented(c)))
    return writePage(200, page, requestIdOf(c.env.incoming))
  }

  async function logout(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const credential = presented(c)
    if (!(await isIntended(c, credential))) return confirmLogout(c)
    const next = credential && (await end(c, site, credential))
    const cleared = settingCookies(...cookies.clearSession(site))
    return redirect(303, next ?? addresses.signedOut(site), cleared)
  }

  async function signedOut(c: NodeContext): Promise<Response> {
    const site = c.get('site')
    const isPending = c.req.query('state') === PENDING
    const page = signedOutPage(addresses.login(site, addresses.landing(site)), isPending)
    return writePage(200, page, requestIdOf(c.env.incoming))
  }

  /** Ends the session and says where to go; nothing where there was none. */
  async function end(
    c: NodeContext,
    site: Site,
    credential: SessionCredential,
  ): Promise<string | undefined> {
    const realm = options.realmOf(site.host)
    const raw = c.env.incoming
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const found = await sessions.find(credential, realm, { standIn })
    if (!found) return undefined
    const { tokens, ending } =
      found.source === 'store'
        ? await endStored(credential, realm)
        : { ending: sessions.deferSignOut(credential) }
    metrics.signOut()
    const { issuer, subject } = found.session.identity
    log.info(
      {
        event: 'sign_out',
        ending,
        user: userDigest(issuer, subject),
        host: site.host,
        request_id: requestIdOf(raw),
        ...traceOf(raw),
      },
      'signed out',
    )
    return leaveUrl(addresses.signedOut(site), tokens, ending)
  }

  async function endStored(credential: SessionCredential, realm: string) {
    const tokens = await sessions.findTokens(credential, realm)
    const ending = await sessions.signOut(credential)
    if (tokens) revokeBehind(tokens)
    return { tokens, ending }
  }

  /** Where the provider's part of the sign-out is, or our own page where it has none. */
  async function leaveUrl(own: string, tokens: Tokens | undefined, ending: Ending) {
    const state = ending === 'pending' ? PENDING : undefined
    const url = options.provider.isDiscovered
      ? await signIn.endSessionUrl(tokens?.idToken, own, state)
      : undefined
    return url?.href ?? (state === undefined ? own : `${own}?state=${state}`)
  }

  /** Behind the answer: the session has ended whether or not the provider can be told. */
  function revokeBehind(tokens: Tokens): void {
    signIn.revoke(tokens).catch(() => {
      log.warn({ event: 'revocation_failed' }, 'tokens could not be revoked at the provider')
    })
  }

  async function isIntended(
    c: NodeContext,
    credential: SessionCredential | undefined,
  ): Promise<boolean> {
    const { headers } = c.env.incoming
    if (headers['sec-fetch-site'] === 'same-origin') return true
    if (headers.origin !== undefined && isOurs(headers.origin, c.get('site'))) return true
    const token = await readToken(c)
    return (
      credential !== undefined && token !== undefined && isEqual(token, confirmToken(credential))
    )
  }

  function isOurs(origin: string, site: Site): boolean {
    const host = URL.parse(origin)?.host
    if (host === undefined) return false
    return (
      origin === addresses.home(site).origin || options.knownSites.find(host)?.origin === origin
    )
  }

  /** Only somebody who sees the page made for this very session knows it. */
  function confirmToken(credential: SessionCredential | undefined): string {
    const session = credential ? formatSessionCookie(credential) : ''
    return createHmac('sha256', options.ring.derive('logout-confirm'))
      .update(session)
      .digest('base64url')
  }

  function presented(c: NodeContext): SessionCredential | undefined {
    const credential = cookies.readSession(c.env.incoming, c.get('site'))
    return credential === 'ambiguous' ? undefined : credential
  }

  return { confirmLogout, logout, signedOut }
}

/** The form of the confirm page; a body of any other kind has no token. */
async function readToken(c: NodeContext): Promise<string | undefined> {
  const type = c.env.incoming.headers['content-type'] ?? ''
  if (!/^application\/x-www-form-urlencoded(?:;|$)/i.test(type)) return undefined
  return new URLSearchParams(await c.req.text()).get('token') ?? undefined
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
