import { createSite, type HostPattern, parseHostPattern, type Site } from '../core/site.ts'
import { checkInsecureHttp } from './issuer-url.ts'
import type { Settings } from './settings/settings.ts'
import { isPublicTopLevelDomain } from './top-level-domain.ts'

/** Parses `PUBLIC_URL`; `undefined` where it is not set, or after a problem. */
export function parsePublicUrl(settings: Settings, problems: string[]): Site | undefined {
  if (!settings.PUBLIC_URL) return undefined
  const url = URL.parse(settings.PUBLIC_URL)
  const isOrigin = url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`
  if (!isOrigin) {
    problems.push(
      'PUBLIC_URL: is not an origin such as https://auth.example.com; a path goes into BASE_PATH',
    )
    return undefined
  }
  const scheme = url.protocol === 'http:' ? 'http' : 'https'
  if (scheme === 'http') checkInsecureHttp('PUBLIC_URL', url.hostname, settings, problems)
  return createSite(scheme, url.hostname, url.port)
}

/** Parses `PROTECTED_HOSTS`; `isAllKnown` is false where a file that may name hosts cannot be used. */
export function parseHosts(
  settings: Settings,
  isAllKnown: boolean,
  problems: string[],
): HostPattern[] {
  if (settings.PROTECTED_HOSTS.length === 0 && isAllKnown) {
    problems.push(
      'PROTECTED_HOSTS: is empty. Name the hosts to protect, e.g. PROTECTED_HOSTS=app.example.com',
    )
  }
  return settings.PROTECTED_HOSTS.flatMap((entry) => {
    const host = parseHostPattern(entry)
    if (host?.scheme === 'http')
      checkInsecureHttp(`PROTECTED_HOSTS: ${entry}`, host.hostname, settings, problems)
    if (host?.isWildcard && isPublicTopLevelDomain(host.hostname)) {
      problems.push(
        `PROTECTED_HOSTS: ${entry} covers a whole public suffix, hosts of strangers among them: write a domain of your own such as *.example.${host.hostname}`,
      )
      return []
    }
    if (host) return [host]
    problems.push(
      `PROTECTED_HOSTS: ${entry} is not of the form app.example.com, *.example.com or http://app.localhost:8080`,
    )
    return []
  })
}
