import type { Config } from '../../config/config.ts'
import { cookieBases, cookieVariants } from '../../core/cookie-names.ts'
import type { Answer, Ask } from '../ask.ts'
import { type Finding, finding, quoted } from '../finding.ts'
import { ownAnswerOf } from '../own-answer.ts'

/** Page of a host that needs a session. */
export interface GuardedPage {
  readonly url: string
  readonly loginUrl: string
}

/** Header that no client may set, with a value that shows in the answer if Traefik believes it. */
interface Forgery {
  readonly name: string
  readonly value: string
  /** Set where a page is asked for, whose answer is a redirect. */
  readonly isPage?: true
  /** Returns whether the answer shows that the value was believed. */
  readonly isBelieved: (error: string, location: string) => boolean
}

const MARK = 'vestibule-doctor-forged'

/** Sends headers of which the check’s answer shows whether Traefik took them from the client, and passed the others on. */
export async function examineSentHeaders(
  { url, loginUrl }: GuardedPage,
  config: Config,
  ask: Ask,
): Promise<readonly Finding[]> {
  const page = await ask(url, { headers: PAGE })
  const login = loginIn(page, loginUrl)
  if (!login) {
    const seen = `${url} was answered with ${page.status} to a browser that asked for a page, and not with a redirect to the sign-in.`
    return [finding('headers_hidden', seen)]
  }
  const target = login.searchParams.get('rd') ?? ''
  if (target !== url) {
    const seen = `${url} leads to a sign-in that returns to ${quoted(target)}.`
    return [finding('path_changed', seen)]
  }
  return [
    ...(await examineForgeries(url, ask)),
    ...(await examineAlias(url, config, ask)),
    ...(await examineCookie(url, config, ask)),
  ]
}

/** Returns whether a browser that asks for this page is sent to the sign-in. */
export async function asksForPage(url: string, loginUrl: string, ask: Ask): Promise<boolean> {
  return loginIn(await ask(url, { headers: PAGE }), loginUrl) !== undefined
}

/** Returns the address of the sign-in to which an answer leads. */
function loginIn({ headers: { location = '' } }: Answer, loginUrl: string): URL | undefined {
  return location.startsWith(`${loginUrl}?`) ? new URL(location) : undefined
}

const PAGE = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }

function forgeriesFor({ protocol }: URL): readonly Forgery[] {
  return [
    {
      name: 'X-Forwarded-Host',
      value: `${MARK}.invalid`,
      isBelieved: (error) => error === 'foreign_host',
    },
    {
      name: 'X-Forwarded-Proto',
      value: protocol === 'https:' ? 'http' : 'https',
      isBelieved: (error) => error === 'invalid_request',
    },
    {
      name: 'X-Forwarded-Method',
      value: 'TRACE',
      isBelieved: (error) => error === 'method_not_allowed',
    },
    {
      name: 'X-Forwarded-Uri',
      value: `/${MARK}`,
      isPage: true,
      isBelieved: (_, location) => location.includes(MARK),
    },
  ]
}

/** Sends what only proxies may say. */
async function examineForgeries(url: string, ask: Ask): Promise<readonly Finding[]> {
  const believed: string[] = []
  for (const { name, value, isPage, isBelieved } of forgeriesFor(new URL(url))) {
    const answer = await ask(url, { headers: { ...(isPage && PAGE), [name]: value } })
    const { location = '' } = answer.headers
    if (isBelieved(ownAnswerOf(answer)?.error ?? '', location)) believed.push(name)
  }
  if (believed.length === 0) return []
  const seen = `${url}: Traefik believed this client’s ${believed.join(', ')}.`
  return [finding('forwarded_headers', seen)]
}

/** Sends another spelling of an identity header, which Traefik should delete and the check refuses. */
async function examineAlias(
  url: string,
  { settings }: Config,
  ask: Ask,
): Promise<readonly Finding[]> {
  if (settings.ALIAS_HEADERS !== 'reject') return []
  const answer = await ask(url, { headers: { X_Auth_Request_User: MARK } })
  if (ownAnswerOf(answer)?.error !== 'alias_header') return []
  return [finding('alias_headers', `${url}: Traefik passed X_Auth_Request_User on to the check.`)]
}

/** Sends the session cookie with two values, which the check answers with a page of its own if it sees them. */
async function examineCookie(
  url: string,
  { settings }: Config,
  ask: Ask,
): Promise<readonly Finding[]> {
  const names = cookieVariants(cookieBases(settings.COOKIE_NAME).session)
  const cookie = names.map((name) => `${name}=a; ${name}=b`).join('; ')
  const { status } = await ask(url, { headers: { ...PAGE, Cookie: cookie } })
  if (status === 400) return []
  return [finding('headers_hidden', `${url}: the check did not see the header Cookie.`)]
}
