import type { Config } from '../config/config.ts'
import type { ReturnToOptions } from '../core/return-to.ts'
import { createSites, patternOf, type Sites } from '../core/site.ts'
import { type Addresses, createAddresses } from '../http/addresses.ts'
import { type Cookies, createCookies } from '../http/cookies.ts'
import { createTrustedProxies, type TrustedProxies } from '../http/trusted-proxies.ts'
import { createPageWriter, type PageWriter } from '../http/write-page.ts'
import type { Oidc } from './oidc.ts'

/** Addresses, cookies and pages, shared by both listeners. */
export interface Web {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly writePage: PageWriter
  readonly proxies: TrustedProxies
  readonly protectedSites: Sites
  /** Protected sites and the site of `PUBLIC_URL`. */
  readonly knownSites: Sites
  readonly returnTo: ReturnToOptions
  /** Returns the realm of a host: `COOKIE_DOMAIN`, or the host itself. */
  readonly realmOf: (host: string) => string
}

export interface ComposeWebOptions {
  readonly config: Config
  readonly oidc: Oidc
  readonly outageGraceMs: number
}

export function composeWeb({ config, oidc, outageGraceMs }: ComposeWebOptions): Web {
  const { settings, publicSite, hosts } = config
  const knownSites = createSites(publicSite ? [...hosts, patternOf(publicSite)] : hosts)
  return {
    addresses: createAddresses({ basePath: settings.BASE_PATH, publicSite, hosts }),
    cookies: createCookies({
      name: settings.COOKIE_NAME,
      domain: settings.COOKIE_DOMAIN,
      sameSite: settings.COOKIE_SAMESITE,
      sessionMaxAgeSeconds: settings.COOKIE_PERSISTENT
        ? settings.SESSION_MAX_AGE.seconds
        : undefined,
      outageGraceSeconds: outageGraceMs / 1000,
    }),
    writePage: createPageWriter(() => oidc.provider.origins()),
    proxies: createTrustedProxies(config.trustedNetworks),
    protectedSites: createSites(hosts),
    knownSites,
    returnTo: { sites: knownSites, basePath: settings.BASE_PATH },
    realmOf: (host) => settings.COOKIE_DOMAIN ?? host,
  }
}
