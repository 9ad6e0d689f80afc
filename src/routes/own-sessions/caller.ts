import { isReadByPerson } from '../../core/authorization.ts'
import { classify } from '../../core/request-class.ts'
import { type SentHeaders, scanHeaders } from '../../core/sent-headers.ts'
import type { Session, SessionCredential } from '../../core/session.ts'
import type { Addresses } from '../../http/addresses.ts'
import { type HeaderList, json, redirect, settingCookies } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import { resetCookiesPage } from '../../http/pages/pages.ts'
import { type NodeContext, pathOf, requestIdOf } from '../../http/request.ts'
import type { PageWriter } from '../../http/write-page.ts'
import type { StandIn } from '../../session/find-session.ts'
import { sessionDigest } from '../../session/records.ts'
import type { Sessions } from '../../session/sessions.ts'

/** Signed-in sender of a request about their own sessions. */
export interface Caller {
  readonly credential: SessionCredential
  readonly digest: string
  readonly session: Session
}

export interface CallerOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly sessions: Pick<Sessions, 'find'>
  readonly realmOf: (host: string) => string
  readonly writePage: PageWriter
}

/** Header of every answer about one's sessions, which is a page or JSON. */
export const VARY: HeaderList = [['Vary', 'Accept, Cookie']]

/** Returns whether a request is answered with a page: one that a person reads and that does not ask for JSON alone. */
export function wantsPage({ env }: NodeContext): boolean {
  const headers = scanHeaders(env.incoming.rawHeaders)
  const requestClass = classify(headers, env.incoming.method ?? 'GET')
  return isReadByPerson(headers, requestClass) && !wantsJsonOnly(headers)
}

function wantsJsonOnly({ accept = '' }: SentHeaders): boolean {
  return /application\/json/i.test(accept) && !/text\/html/i.test(accept)
}

/** Returns a function that finds the session of a request, or answers where there is none. */
export function createCallerFinder(options: CallerOptions) {
  const { addresses, cookies, sessions } = options

  function refuse(c: NodeContext): Response {
    const site = c.get('site')
    const raw = c.env.incoming
    const loginUrl = addresses.login(site, addresses.sessions(site))
    if (wantsPage(c)) return redirect(raw.method === 'POST' ? 303 : 302, loginUrl, VARY)
    const body = { error: 'login_required', login_url: loginUrl }
    const challenge = ['WWW-Authenticate', `Bearer realm="${site.host}"`] as const
    return json(401, body, requestIdOf(raw), [challenge, ...VARY])
  }

  /** Offers a reset, because a new sign-in would leave the planted cookie beside its own (finding C7). */
  function resetCookies(c: NodeContext): Response | Promise<Response> {
    if (!wantsPage(c)) return refuse(c)
    const site = c.get('site')
    const raw = c.env.incoming
    const expired = settingCookies(
      ...cookies.clearSession(site),
      ...cookies.clearPlanted(raw, site, pathOf(raw)),
    )
    const page = resetCookiesPage(addresses.login(site, addresses.sessions(site)))
    return options.writePage(400, page, requestIdOf(raw), [...expired, ...VARY])
  }

  return async (c: NodeContext, standIn?: StandIn): Promise<Caller | Response> => {
    const site = c.get('site')
    const credential = cookies.readSession(c.env.incoming, site)
    if (credential === 'ambiguous') return resetCookies(c)
    if (!credential) return refuse(c)
    const realm = options.realmOf(site.host)
    const found = await sessions.find(credential, realm, standIn && { standIn })
    if (!found) return refuse(c)
    return { credential, digest: sessionDigest(credential), session: found.session }
  }
}
