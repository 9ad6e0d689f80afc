import { createSite, createSites, type HostPattern, type Site } from '../core/site.ts'

/** The absolute addresses of our own endpoints. Nothing in them comes from a request but a host that is known. */
export interface Addresses {
  readonly basePath: string
  /** Where the sign-in for a site happens: `PUBLIC_URL`, or the site itself. */
  home(site: Site): Site
  login(site: Site, target: string, options?: LoginParameters): string
  callback(site: Site): string
  logout(site: Site): string
  signedOut(site: Site): string
  /** Where somebody lands who asked for nothing in particular. */
  landing(site: Site): string
}

/** What a sign-in address may say beside its target. */
export interface LoginParameters {
  /** Asks the provider to have the user sign in anew. */
  readonly prompt?: 'login'
  /** Goes straight to the target if somebody is signed in by now. */
  readonly retry?: '1'
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
  const under = (site: Site, path: string) => `${home(site).origin}${basePath}${path}`
  return {
    basePath,
    home,
    login: (site, target, parameters = {}) => {
      const query = new URLSearchParams({ rd: target, ...parameters })
      return `${under(site, '/login')}?${query.toString()}`
    },
    callback: (site) => under(site, '/callback'),
    logout: (site) => `${site.origin}${basePath}/logout`,
    signedOut: (site) => under(site, '/signed-out'),
    landing: (site) => {
      const isApp = protectedSites.find(site.host) !== undefined
      return `${(isApp ? site : (firstSite ?? site)).origin}/`
    },
  }
}
