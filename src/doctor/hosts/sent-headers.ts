import type { Config } from '../../config/config.ts'
import { cookieBases, cookieVariants } from '../../core/cookie-names.ts'
import type { Ask } from '../ask.ts'
import { type Finding, finding } from '../finding.ts'
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
  if (!page.headers.location?.startsWith(loginUrl)) {
    const seen = `${url} was answered with ${page.status} to a browser that asked for a page, and not with a redirect to the sign-in.`
    return [finding('headers_hidden', seen)]
  }
  const believed: string[] = []
  for (const { name, value, isPage, isBelieved } of forgeriesFor(new URL(url))) {
    const answer = await ask(url, { headers: { ...(isPage && PAGE), [name]: value } })
    const { location = '' } = answer.headers
    if (isBelieved(ownAnswerOf(answer)?.error ?? '', location)) believed.push(name)
  }
  return [
    ...(believed.length > 0
      ? [
          finding(
            'forwarded_headers',
            `${url}: Traefik believed this client’s ${believed.join(', ')}.`,
          ),
        ]
      : []),
    ...(await examineAlias(url, config, ask)),
    ...(await examineCookie(url, config, ask)),
  ]
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
