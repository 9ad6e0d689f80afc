import type { Draft } from '../draft.ts'

/** Domain that shares a cookie, and the host to which the provider returns for it. */
export interface CookieDomain {
  readonly domain: string
  readonly authHost: string | undefined
}

/** Hosts that one installation serves, because they share a session or each has its own. */
export interface Sites {
  /** Name of the installation; `''` where there is one alone. */
  readonly name: string
  readonly domain: CookieDomain | undefined
  readonly hosts: readonly string[]
  readonly scheme: 'http' | 'https'
}

/** Groups hosts by the most specific cookie domain that covers them; those of none are a group of their own. */
export function sitesByDomain(
  domains: readonly CookieDomain[],
  hosts: readonly string[],
  scheme: Sites['scheme'],
): readonly Sites[] {
  const longestFirst = domains.toSorted((one, other) => other.domain.length - one.domain.length)
  const domainOf = (host: string) => longestFirst.find(({ domain }) => covers(domain, host))
  const outside = hosts.filter((host) => domainOf(host) === undefined)
  const groups = domains.map((domain) => {
    const named = hosts.filter((host) => domainOf(host) === domain)
    return { domain, hosts: named.length > 0 ? named : [domain.domain, `*.${domain.domain}`] }
  })
  const all =
    outside.length > 0 || groups.length === 0
      ? [...groups, { domain: undefined, hosts: outside }]
      : groups
  return all.map((group) => ({
    ...group,
    scheme,
    name: all.length === 1 ? '' : (group.domain?.domain.replaceAll('.', '-') ?? 'other-hosts'),
  }))
}

/** Returns whether a host is a domain or below it. */
export function covers(domain: string, host: string): boolean {
  const [name = ''] = host.replace(/^\*\./, '').split(':')
  return name === domain || name.endsWith(`.${domain}`)
}

/** Sets the addresses of an installation, and says which ones the provider has to know. */
export function placeSites(draft: Draft, sites: Sites, oldCallback: string): void {
  const { domain, hosts, scheme } = sites
  const prefix = scheme === 'http' ? 'http://' : ''
  if (hosts.length > 0) {
    draft.set(
      'PROTECTED_HOSTS',
      hosts.map((host) => `${prefix}${host}`),
    )
  }
  if (domain) draft.set('COOKIE_DOMAIN', domain.domain)
  if (domain?.authHost !== undefined) draft.set('PUBLIC_URL', `${scheme}://${domain.authHost}`)
  if (scheme === 'http') draft.set('ALLOW_INSECURE_HTTP', true)
  noteHosts(draft, sites)
  noteAddresses(draft, sites, oldCallback)
}

function noteHosts(draft: Draft, { domain, hosts }: Sites): void {
  if (hosts.length === 0) {
    draft.note(
      'todo',
      'PROTECTED_HOSTS',
      'Name the hosts of your apps in protectedHosts: the old service answered for every host. Or name the files of Traefik behind --, whose routers have the hosts.',
    )
  } else if (!hosts.some((host) => host === `*.${domain?.domain}`)) {
    draft.note(
      'stricter',
      'PROTECTED_HOSTS',
      'Has the hosts of the rules and routers that were given, and other hosts are refused. Add those that are missing, such as hosts of a HostRegexp.',
    )
  }
}

function noteAddresses(draft: Draft, { domain, hosts, scheme }: Sites, oldCallback: string): void {
  const own = domain?.authHost === undefined ? hosts : [domain.authHost]
  const basePath = draft.valueOf('BASE_PATH') ?? '/oauth2'
  for (const host of own.length > 0 ? own : ['HOST']) {
    const place = `${scheme}://${host.replace(/^\*\./, 'HOST.')}`
    const many = host.startsWith('*.') ? ', with each host that is used in place of HOST' : ''
    const callback = `${place}${basePath.toString()}/callback`
    const first =
      callback === `${place}${oldCallback}`
        ? `The redirect URI ${callback} stays as it is${many}.`
        : `Register ${callback} as redirect URI${many}. Keep ${place}${oldCallback} until the old service is gone.`
    draft.note(
      'provider',
      'redirect URI',
      `${first} Register ${place}${basePath.toString()}/signed-out as post-logout redirect URI.`,
    )
  }
}
