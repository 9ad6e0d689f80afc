import { createSite, type HostPattern, type Site } from '../core/site.ts'
import type { Settings } from './settings/settings.ts'
import { isPublicTopLevelDomain } from './top-level-domain.ts'

/** Checks that browsers send the session cookie to every host that needs it. */
export function checkCookies(
  settings: Settings,
  hosts: readonly HostPattern[],
  publicSite: Site | undefined,
  problems: string[],
): void {
  if (!isDomain(settings.COOKIE_DOMAIN, problems)) return
  checkCookieDomain(settings, publicSite, problems)
  for (const host of hosts) checkReach(host, settings, publicSite, problems)
}

function isDomain(domain: string | undefined, problems: string[]): boolean {
  if (domain === undefined) return true
  if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(domain)) {
    problems.push(
      'COOKIE_DOMAIN: is not a domain such as example.com (lower case, no leading dot, no port)',
    )
    return false
  }
  if (!isPublicTopLevelDomain(domain)) return true
  problems.push(
    `COOKIE_DOMAIN: ${domain} is a public suffix, for which browsers take no cookie: set it to a domain of your own such as example.${domain}`,
  )
  return false
}

function checkCookieDomain(
  { COOKIE_DOMAIN }: Settings,
  publicSite: Site | undefined,
  problems: string[],
): void {
  const publicHost = publicSite && new URL(publicSite.origin).hostname
  if (COOKIE_DOMAIN === undefined || publicHost === undefined) return
  if (covers(COOKIE_DOMAIN, publicHost)) return
  problems.push(
    `COOKIE_DOMAIN: ${COOKIE_DOMAIN} does not cover PUBLIC_URL (${publicHost}): set it to a domain above both`,
  )
}

/** Checks that browsers send the session cookie to a protected host. */
function checkReach(
  host: HostPattern,
  settings: Settings,
  publicSite: Site | undefined,
  problems: string[],
): void {
  const { scheme, hostname, port, isWildcard } = host
  if (settings.COOKIE_SAMESITE === 'none' && scheme === 'http') {
    problems.push(`COOKIE_SAMESITE: none needs https, and ${hostname} is an http host`)
  }
  const isOutside =
    settings.COOKIE_DOMAIN !== undefined && !covers(settings.COOKIE_DOMAIN, hostname)
  if (isOutside) {
    problems.push(
      `COOKIE_DOMAIN: ${settings.COOKIE_DOMAIN} does not cover the protected host ${hostname}`,
    )
  }
  if (!publicSite) return
  const isItself = publicSite.host === createSite(scheme, hostname, port).host && !isWildcard
  if (!isItself && settings.COOKIE_DOMAIN === undefined) {
    problems.push(
      `PROTECTED_HOSTS: ${hostname} would never get the session cookie of PUBLIC_URL (${publicSite.host}): set COOKIE_DOMAIN to a domain above both, or leave PUBLIC_URL out`,
    )
  }
  if (scheme !== publicSite.scheme) {
    problems.push(
      `PROTECTED_HOSTS: ${hostname} is an ${scheme} host and PUBLIC_URL is not: their cookies differ`,
    )
  }
}

function covers(domain: string | undefined, hostname: string): boolean {
  return domain !== undefined && (hostname === domain || hostname.endsWith(`.${domain}`))
}
