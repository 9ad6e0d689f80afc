import { SESSIONS_PATH } from '../core/return-to.ts'
import { createSite, createSites, type HostPattern, type Site } from '../core/site.ts'

/** Absolute addresses of our own endpoints. A known host is all that they take from a request. */
export interface Addresses {
  readonly basePath: string
  /** Returns the site of the sign-in for a site: `PUBLIC_URL`, or the site itself. */
  home(site: Site): Site
  login(site: Site, target: string, options?: LoginParameters): string
  callback(site: Site): string
  logout(site: Site): string
  signedOut(site: Site): string
  /** Returns the page where people see and end their own sessions, on the host that was asked. */
  sessions(site: Site): string
  /** Returns the stream of events, on the host that was asked. */
  events(site: Site): string
  /** Returns the page to go to where a request names no target. */
  landing(site: Site): string
}

/** Parameters of a sign-in address beside its target. */
export interface LoginParameters {
  /** Asks the provider to authenticate the user again. */
  readonly prompt?: 'login'
  /** Redirects to the target at once when the browser has a session by now. */
  readonly retry?: '1'
  /** Counts as a round, because the login before could not be finished (finding C22). */
  readonly again?: '1'
}

export interface AddressOptions {
  readonly basePath: string
  readonly publicSite: Site | undefined
  readonly hosts: readonly HostPattern[]
}

export function createAddresses(options: AddressOptions): Addresses {
  const { basePath, publicSite, hosts } = options
  const protectedSites = createSites(hosts)
  const exact = hosts.find((host) => !host.isWildcard)
  const firstSite = exact && createSite(exact.scheme, exact.hostname, exact.port)
  const home = (site: Site) => publicSite ?? site
  const at = (site: Site, path: string) => `${site.origin}${basePath}${path}`
  const under = (site: Site, path: string) => at(home(site), path)
  return {
    basePath,
    home,
    login: (site, target, parameters = {}) => {
      const query = new URLSearchParams({ rd: target, ...parameters })
      return `${under(site, '/login')}?${query.toString()}`
    },
    callback: (site) => under(site, '/callback'),
    logout: (site) => at(site, '/logout'),
    sessions: (site) => at(site, SESSIONS_PATH),
    events: (site) => at(site, '/events'),
    signedOut: (site) => under(site, '/signed-out'),
    landing: (site) => {
      const isApp = protectedSites.find(site.host) !== undefined
      return `${(isApp ? site : (firstSite ?? site)).origin}/`
    },
  }
}
