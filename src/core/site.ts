/** Known origin; its scheme comes from configuration, never from a request. */
export interface Site {
  readonly scheme: 'https' | 'http'
  /** Lower-case host name, with the port unless it is the scheme's default. */
  readonly host: string
  readonly origin: string
}

/** Entry of `PROTECTED_HOSTS`. */
export interface HostPattern {
  readonly scheme: 'https' | 'http'
  readonly hostname: string
  readonly port: string
  /** True for `*.example.com`, which matches every host below the name, but not the name itself. */
  readonly isWildcard: boolean
}

/** Matches a host name, also with `_`, which URLs and browsers take (finding C42), and a port. */
const HOST = /^(?!.*\.\.)([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)(?::([1-9]\d{0,4}))?$/
/** Length of a host name (RFC 1035 section 2.3.4), a colon and a port. */
const MAX_LENGTH = 253 + 6
export const DEFAULT_PORT = { https: '443', http: '80' }

/** Returns host name in lower case and port; `undefined` for user info, IPv6, a trailing dot or any other form. */
export function parseHost(value: string): { hostname: string; port: string } | undefined {
  const [, hostname, port = ''] =
    (value.length <= MAX_LENGTH && HOST.exec(value.toLowerCase())) || []
  return hostname !== undefined && Number(port) <= 65_535 ? { hostname, port } : undefined
}

/** Parses `app.example.com`, `*.example.com` or `http://app.localhost:8080`; `undefined` for any other form. */
export function parseHostPattern(value: string): HostPattern | undefined {
  const match = /^(?:(https?):\/\/)?(\*\.)?([^/]+)$/i.exec(value)
  const host = match?.[3] === undefined ? undefined : parseHost(match[3])
  if (!match || !host) return undefined
  const scheme = match[1]?.toLowerCase() === 'http' ? 'http' : 'https'
  const port = host.port === DEFAULT_PORT[scheme] ? '' : host.port
  return { scheme, hostname: host.hostname, port, isWildcard: match[2] !== undefined }
}

/** Creates a site whose origin is spelled like `URL.origin`. */
export function createSite(scheme: 'https' | 'http', hostname: string, port: string): Site {
  const host = port === '' || port === DEFAULT_PORT[scheme] ? hostname : `${hostname}:${port}`
  return { scheme, host, origin: `${scheme}://${host}` }
}

/** Returns the pattern that matches this site only. */
export function patternOf({ scheme, host }: Site): HostPattern {
  const [hostname = '', port = ''] = host.split(':')
  return { scheme, hostname, port, isWildcard: false }
}

/** Returns whether a host name equals the pattern's or, for a wildcard, is a subdomain of it. */
export function matchesHost(pattern: HostPattern, hostname: string, port: string): boolean {
  const samePort = pattern.port === (port === DEFAULT_PORT[pattern.scheme] ? '' : port)
  if (!samePort) return false
  return pattern.isWildcard
    ? hostname.endsWith(`.${pattern.hostname}`)
    : hostname === pattern.hostname
}

/** Protected sites. */
export interface Sites {
  /** Returns the site of a `Host` value; `undefined` for a foreign host. */
  find(host: string): Site | undefined
}

/** Looks up exact names, then tries wildcards in order; caches nothing that a caller sends. */
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
