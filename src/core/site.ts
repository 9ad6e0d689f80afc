/** One origin that Vestibule knows: the scheme comes from configuration, never from a request. */
export interface Site {
  readonly scheme: 'https' | 'http'
  /** Lower-case host name, with the port where it is not the scheme's own. */
  readonly host: string
  readonly origin: string
}

/** One entry of `PROTECTED_HOSTS`. */
export interface HostPattern {
  readonly scheme: 'https' | 'http'
  readonly hostname: string
  readonly port: string
  /** `*.example.com`: every host below the name, not the name itself. */
  readonly isWildcard: boolean
}

const HOST = /^(?!.*\.\.)([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([1-9]\d{0,4}))?$/
/** A host name (RFC 1035 section 2.3.4), a colon and a port. */
const MAX_LENGTH = 253 + 6
const DEFAULT_PORT = { https: '443', http: '80' }

/** The host in lower case and its port, or nothing for user info, IPv6, a trailing dot or any other form. */
export function parseHost(value: string): { hostname: string; port: string } | undefined {
  const [, hostname, port = ''] =
    (value.length <= MAX_LENGTH && HOST.exec(value.toLowerCase())) || []
  return hostname !== undefined && Number(port) <= 65_535 ? { hostname, port } : undefined
}

/** Parses `app.example.com`, `*.example.com` or `http://app.localhost:8080`; nothing when it is none of them. */
export function parseHostPattern(value: string): HostPattern | undefined {
  const match = /^(?:(https?):\/\/)?(\*\.)?([^/]+)$/i.exec(value)
  const host = match?.[3] === undefined ? undefined : parseHost(match[3])
  if (!match || !host) return undefined
  const scheme = match[1]?.toLowerCase() === 'http' ? 'http' : 'https'
  const port = host.port === DEFAULT_PORT[scheme] ? '' : host.port
  return { scheme, hostname: host.hostname, port, isWildcard: match[2] !== undefined }
}

/** A site from its parts, written the way `URL.origin` writes it. */
export function createSite(scheme: 'https' | 'http', hostname: string, port: string): Site {
  const host = port === '' || port === DEFAULT_PORT[scheme] ? hostname : `${hostname}:${port}`
  return { scheme, host, origin: `${scheme}://${host}` }
}

/** The pattern that matches one site and nothing else. */
export function patternOf({ scheme, host }: Site): HostPattern {
  const [hostname = '', port = ''] = host.split(':')
  return { scheme, hostname, port, isWildcard: false }
}

/** Whether a host name is the pattern's or, for a wildcard, lies below it at a dot. */
export function matchesHost(pattern: HostPattern, hostname: string, port: string): boolean {
  const samePort = pattern.port === (port === DEFAULT_PORT[pattern.scheme] ? '' : port)
  if (!samePort) return false
  return pattern.isWildcard
    ? hostname.endsWith(`.${pattern.hostname}`)
    : hostname === pattern.hostname
}

/** Finds the protected site that a host value names; anything else is not ours. */
export interface Sites {
  find(host: string): Site | undefined
}

/** Exact names are looked up, wildcards tried in order; nothing a caller sends is remembered. */
export function createSites(patterns: readonly HostPattern[]): Sites {
  const exact = new Map<string, Site>()
  for (const { scheme, hostname, port } of patterns.filter((pattern) => !pattern.isWildcard)) {
    const site = createSite(scheme, hostname, port)
    exact.set(site.host, site)
    exact.set(`${hostname}:${port || DEFAULT_PORT[scheme]}`, site)
  }
  const wildcards = patterns.filter((pattern) => pattern.isWildcard)
  return {
    find(value) {
      const known = exact.get(value)
      if (known) return known
      const host = parseHost(value)
      if (!host) return undefined
      const lowerCase = exact.get(host.port ? `${host.hostname}:${host.port}` : host.hostname)
      if (lowerCase) return lowerCase
      const pattern = wildcards.find((each) => matchesHost(each, host.hostname, host.port))
      return pattern && createSite(pattern.scheme, host.hostname, host.port)
    },
  }
}
