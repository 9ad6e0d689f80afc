import type { RequestClass } from '../../core/request-class.ts'
import type { SentHeaders } from '../../core/sent-headers.ts'
import type { Cookies } from '../../http/cookies.ts'
import type { OutageAssertions } from '../../session/outage-assertion.ts'
import type { CheckedRequest } from './checked-request.ts'
import type { ConfirmedCookie } from './found-evidence.ts'

interface AssertedRequest extends Pick<CheckedRequest, 'headers' | 'cookies' | 'requestClass'> {
  readonly request: Pick<CheckedRequest['request'], 'method' | 'site'>
}

/** Returns the `Set-Cookie` of an outage assertion, or `undefined` where the browser needs none. */
export type RenewOutageCookie = (
  checked: AssertedRequest,
  confirmed: ConfirmedCookie,
) => string | undefined

export interface OutageCookieOptions {
  readonly cookies: Cookies
  readonly assertions: OutageAssertions
  /** 0 turns outage assertions off. */
  readonly graceMs: number
}

export function createOutageCookie({
  cookies,
  assertions,
  graceMs,
}: OutageCookieOptions): RenewOutageCookie {
  if (graceMs === 0) return () => undefined
  return ({ headers, cookies: sent, requestClass, request }, { found, cookie }) => {
    const { method, site } = request
    if (method !== 'GET' || !storesCookies(headers, requestClass)) return undefined
    if (sent.outage !== undefined && assertions.isRecent(sent.outage)) return undefined
    const text = assertions.issue(found, { ...cookie, digest: found.digest })
    return text === undefined ? undefined : cookies.outage(site, text)
  }
}

/** Destinations that get the cookie: caches may share an asset's answer, and browsers ignore a handshake's cookies. */
const COOKIE_DESTINATIONS: ReadonlySet<unknown> = new Set(['document', 'empty', 'iframe', 'frame'])

function storesCookies(
  { fetchDestination, requestedWith }: SentHeaders,
  requestClass: RequestClass,
): boolean {
  if (requestClass === 'navigation') return true
  if (requestClass !== 'background') return false
  return fetchDestination === undefined
    ? requestedWith !== undefined
    : COOKIE_DESTINATIONS.has(fetchDestination)
}
