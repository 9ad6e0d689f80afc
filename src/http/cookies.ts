import type { IncomingMessage } from 'node:http'
import { serialize } from 'hono/utils/cookie'
import { type CutCookies, cutCookies, readCookie, readCookies } from '../core/cookie-header.ts'
import { cookieBases, cookieVariants } from '../core/cookie-names.ts'
import {
  type Binding,
  formatBinding,
  LOGIN_LIFETIME_MS,
  parseBinding,
} from '../core/login-binding.ts'
import { parseSessionCookie, type SessionCredential } from '../core/session.ts'
import type { Site } from '../core/site.ts'
import { expirePlanted } from './planted-cookies.ts'

/** Cookies of one installation; their names depend on the site's scheme, their attributes on settings (threat A77). */
export interface Cookies {
  /** Names of our cookies in all variants, which are removed from what apps receive. */
  readonly ownNames: ReadonlySet<string>
  sessionName(site: Site): string
  /** Reads session and outage cookie and cuts ours out of a `Cookie` header, for the check. */
  cut(header: string | undefined, site: Site): CutCookies
  /** Returns `'ambiguous'` for two different values, and `undefined` for none or a malformed one. */
  readSession(raw: IncomingMessage, site: Site): SessionCredential | 'ambiguous' | undefined
  /** Returns each well-formed session cookie, at most eight, so that a sign-out can end them all. */
  readSessions(raw: IncomingMessage, site: Site): readonly SessionCredential[]
  /** Returns `undefined` for an ambiguous or malformed binding. */
  readBinding(raw: IncomingMessage, site: Site): Binding | undefined
  readTarget(raw: IncomingMessage, site: Site): string | undefined
  /** Returns the outage assertion, or `undefined` for an ambiguous one. */
  readOutage(raw: IncomingMessage, site: Site): string | undefined
  session(site: Site, value: string): string
  binding(site: Site, binding: Binding): string
  target(site: Site, value: string): string
  /** Expires session and outage cookies in every variant: host-only under either name, and for the domain. */
  clearSession(site: Site): string[]
  clearTarget(site: Site): string
  /** Expires cookies received with several values, for every path and domain that may hold one; empty without such. */
  clearPlanted(raw: IncomingMessage, site: Site, path: string): string[]
  /** Expires the outage cookie; empty where outage assertions are off. */
  clearOutage(site: Site): string[]
  outage(site: Site, value: string): string
}

export interface CookieOptions {
  readonly name: string
  readonly domain: string | undefined
  readonly sameSite: 'lax' | 'strict' | 'none'
  /** `undefined` leaves the end to the browser, which forgets the cookie when it is closed. */
  readonly sessionMaxAgeSeconds: number | undefined
  /** 0 turns outage assertions off. */
  readonly outageGraceSeconds: number
}

/** Exceeds the lifetime of a login, so that the binding outlives any time a user spends at the provider. */
const BINDING_MAX_AGE_SECONDS = 86_400

/** Bounds the sessions that one sign-out ends. */
const MAX_SESSIONS = 8

export function createCookies({
  name,
  domain,
  sameSite,
  sessionMaxAgeSeconds,
  outageGraceSeconds,
}: CookieOptions): Cookies {
  const bases = cookieBases(name)
  const hostOnly = (site: Pick<Site, 'scheme'>, base: string) =>
    site.scheme === 'https' ? `__Host-${base}` : base
  const shared = (site: Pick<Site, 'scheme'>, base: string) => {
    if (domain === undefined) return hostOnly(site, base)
    return site.scheme === 'https' ? `__Secure-${base}` : base
  }
  const common = (site: Site) => ({ path: '/', httpOnly: true, secure: site.scheme === 'https' })
  const write = (site: Site, cookieName: string, value: string, maxAgeSeconds: number) =>
    serialize(cookieName, value, { ...common(site), sameSite: 'lax', maxAge: maxAgeSeconds })
  const ofDomain = domain === undefined ? {} : { domain }
  /** Writes a cookie with the scope of the session: the domain where one is set, else the host. */
  const writeShared = (site: Site, base: string, value: string, maxAge: number | undefined) =>
    serialize(shared(site, base), value, {
      ...common(site),
      ...ofDomain,
      sameSite,
      ...(maxAge !== undefined && { maxAge }),
    })
  const clear = (site: Site, base: string) => {
    const names = new Set([hostOnly(site, base), shared(site, base)])
    const cleared = { ...common(site), sameSite, maxAge: 0 } as const
    const hostOnlyVariants = [...names].map((each) => serialize(each, '', cleared))
    return domain === undefined
      ? hostOnlyVariants
      : [...hostOnlyVariants, writeShared(site, base, '', 0)]
  }
  const ownNames = new Set(Object.values(bases).flatMap(cookieVariants))
  const ownLengths = new Set([...ownNames].map((each) => each.length))
  const namesOn = (site: Pick<Site, 'scheme'>) => ({
    session: shared(site, bases.session),
    outage: shared(site, bases.outage),
    all: ownNames,
    lengths: ownLengths,
  })
  const cutNames = { https: namesOn({ scheme: 'https' }), http: namesOn({ scheme: 'http' }) }
  const clearOutage = (site: Site) => (outageGraceSeconds > 0 ? clear(site, bases.outage) : [])
  const read = (raw: IncomingMessage, cookieName: string) => {
    const cookie = readCookie(raw.headers.cookie, cookieName)
    return typeof cookie === 'object' ? cookie.value : undefined
  }
  return {
    ownNames,
    sessionName: (site) => shared(site, bases.session),
    cut: (header, site) => cutCookies(header, cutNames[site.scheme]),
    readSession(raw, site) {
      const cookie = readCookie(raw.headers.cookie, shared(site, bases.session))
      return typeof cookie === 'object' ? parseSessionCookie(cookie.value) : cookie
    },
    readSessions: (raw, site) =>
      readCookies(raw.headers.cookie, shared(site, bases.session))
        .flatMap((value) => parseSessionCookie(value) ?? [])
        .slice(0, MAX_SESSIONS),
    readBinding(raw, site) {
      const value = read(raw, hostOnly(site, bases.binding))
      return value === undefined ? undefined : parseBinding(value)
    },
    readTarget: (raw, site) => read(raw, hostOnly(site, bases.target)),
    readOutage: (raw, site) => read(raw, shared(site, bases.outage)),
    session: (site, value) => writeShared(site, bases.session, value, sessionMaxAgeSeconds),
    outage: (site, value) => writeShared(site, bases.outage, value, outageGraceSeconds),
    binding: (site, binding) =>
      write(site, hostOnly(site, bases.binding), formatBinding(binding), BINDING_MAX_AGE_SECONDS),
    target: (site, value) =>
      write(site, hostOnly(site, bases.target), value, LOGIN_LIFETIME_MS / 1000),
    clearSession: (site) => [...clear(site, bases.session), ...clearOutage(site)],
    clearOutage,
    clearTarget: (site) => write(site, hostOnly(site, bases.target), '', 0),
    clearPlanted(raw, site, path) {
      const candidates = [
        ...[bases.session, bases.outage].map((base) => shared(site, base)),
        ...[bases.binding, bases.target].map((base) => hostOnly(site, base)),
      ]
      // Skips `__Host-` cookies, because browsers accept them only for the exact host and path `/`.
      const names = candidates.filter(
        (each) =>
          !each.startsWith('__Host-') && readCookie(raw.headers.cookie, each) === 'ambiguous',
      )
      if (names.length === 0) return []
      const [hostname = ''] = site.host.split(':')
      const { httpOnly, secure } = common(site)
      return expirePlanted({
        names,
        hostname,
        domain,
        path,
        attributes: { httpOnly, secure, sameSite },
      })
    },
  }
}
