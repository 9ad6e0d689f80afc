import { mayLeadUnder, readPath } from './path-readings.ts'
import type { Site, Sites } from './site.ts'

/** Longest target of a redirect, so that the sealed target fits into a cookie (finding C43). */
const MAX_TARGET_CHARS = 3000
const FORBIDDEN =
  /[\x00-\x20\x7f-\x9f\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff\\]/

/** Page under the base path to which a sign-in may lead, because opening it has no effect. */
export const SESSIONS_PATH = '/sessions'

/** Permitted targets of a redirect after sign-in or sign-out. */
export interface ReturnToOptions {
  /** Sites of `PUBLIC_URL` and the protected hosts. */
  readonly sites: Sites
  readonly basePath: string
}

/**
 * Returns the absolute URL of a permitted redirect target, without its query where it would be too long; `undefined` for
 * an open redirect (threats A40-A47) or a path that is too long. Returns `/` for another target under `basePath` than the
 * page of one's sessions, so that a sign-in cannot lead to a sign-out or another sign-in.
 */
export function parseReturnTo(
  rd: string,
  self: Site,
  { sites, basePath }: ReturnToOptions,
): string | undefined {
  if (pathLengthOf(rd) > MAX_TARGET_CHARS || FORBIDDEN.test(rd)) return undefined
  const url = rd.startsWith('/') ? parseRelative(rd, self) : parseAbsolute(rd, sites)
  if (!url || url.pathname.startsWith('//')) return undefined
  if (url.pathname === basePath + SESSIONS_PATH) return withoutQuery(url)
  if (mayLeadUnder(basePath, readPath(url.pathname))) return `${url.origin}/`
  const target = url.href.length > MAX_TARGET_CHARS ? withoutQuery(url) : url.href
  return target.length > MAX_TARGET_CHARS ? undefined : target
}

/** Returns a target without query and fragment. */
function withoutQuery({ origin, pathname }: Pick<URL, 'origin' | 'pathname'>): string {
  return origin + pathname
}

/** Bounds what is parsed, because only a query or fragment may be longer than a target. */
function pathLengthOf(rd: string): number {
  const end = rd.search(/[?#]/)
  return end === -1 ? rd.length : end
}

function parseRelative(rd: string, self: Site): URL | undefined {
  if (rd.startsWith('//')) return undefined
  const url = URL.parse(rd, self.origin)
  return url?.origin === self.origin ? url : undefined
}

function parseAbsolute(rd: string, sites: Sites): URL | undefined {
  if (!/^https?:\/\/[A-Za-z0-9_]/.test(rd)) return undefined
  const url = URL.parse(rd)
  // Requires ASCII before folding, because some letters beyond ASCII fold into ASCII (threat A43).
  const authority = /^https?:\/\/([\x21-\x7e]*?)(?:[/?#]|$)/.exec(rd)?.[1]?.toLowerCase()
  if (!url || url.username || url.password || authority !== url.host) return undefined
  return sites.find(url.host)?.origin === url.origin ? url : undefined
}
